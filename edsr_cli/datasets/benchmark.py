"""Benchmark data sets on disk: which pictures belong together, and how they are compared.

Three layouts are known, by the names of folders alone; in the first two, LR_unknown in place of
LR_bicubic holds the LR pictures of NTIRE 2017's second track:

    Set5/HR/baby.png                 Set5/LR_bicubic/X2/babyx2.png
    DIV2K/DIV2K_valid_HR/0801.png    DIV2K/DIV2K_valid_LR_bicubic/X2/0801x2.png
    any/folder/picture.jpg           LR is made from HR
"""

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.errors import PictureError, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.files.walk import Listing
from edsr_cli.images import DEFAULT_MAX_PIXELS, READ_SUFFIXES, decode
from edsr_cli.images.picture import Compression
from edsr_cli.pixels import resize
from edsr_cli.pixels.depth import to_uint8

_DIV2K_MARGIN = 6  # pixels of border beside `scale`, in EDSR-PyTorch's calc_psnr
_DIV2K_HR = re.compile("DIV2K_(valid|train)_HR")


class Pair(Struct, frozen=True):
    """A picture and its smaller version.

    Attributes:
        name: the HR file's name without its ending; with it where that alone tells two apart.
        scale: HR pixels to an LR pixel, in each direction.
        hr: the file of the original.
        lr: the file of the smaller version; None to make it from the original.
    """

    name: str
    scale: int
    hr: Path
    lr: Path | None


class LoadedPair(Struct, frozen=True):
    """The pixels of a pair.

    Attributes:
        hr: (scale * h, scale * w, 3), RGB, 0..255.
        lr: (h, w, 3), RGB, 0..255.
        notes: remarks about what was lost in reading, one line each.
        compression: what the file of `lr` says about what its pixels lost; None for nothing.
    """

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    compression: Compression | None = None


class Benchmark(Struct, frozen=True):
    """A data set.

    Attributes:
        name: such as "Set5".
        hr: the folder with the originals.
        lr: the folder with the folders X2, X3 and X4; None if there is none.
        is_div2k: whether it is measured as DIV2K is: a wider border, and colours before luma.
    """

    name: str
    hr: Path
    lr: Path | None = None
    is_div2k: bool = False

    def border(self, scale: int) -> int:
        """Pixels at each side of an SR picture that are not compared."""
        return scale + _DIV2K_MARGIN if self.is_div2k else scale

    def pairs(self, scale: int) -> list[Pair]:
        """All pictures, by name. Where the set has no LR folder for the scale, LR is to be made.

        Raises:
            UsageError: the folder cannot be read.
        """
        lr = None if self.lr is None else self.lr / f"X{scale}"
        if lr is not None and not _is_folder(lr):
            lr = None
        pictures = _pictures(self.hr)
        taken = Counter(name for hr in pictures for name in (hr.stem, hr.name))
        return [
            Pair(
                hr.stem if taken[hr.stem] == 1 else hr.name,
                scale,
                hr,
                None if lr is None else lr / f"{hr.stem}x{scale}{hr.suffix}",
            )
            for hr in pictures
        ]


def find_benchmark(folder: str, lr: str = "bicubic", part: str = "valid") -> Benchmark:
    """Recognise the layout of a data set.

    Args:
        folder: the set's folder, or the one with its originals.
        lr: which LR pictures to take: "bicubic", or "unknown", those of NTIRE 2017's second track.
        part: what is taken of a whole DIV2K: "valid" or "train".

    Raises:
        UsageError: there is no such folder, or no picture where one should be.
    """
    path = Path(folder)
    shown = display_name(path)
    if not _is_folder(path):
        if os.path.lexists(folder):
            raise UsageError(f"{shown} is not a folder.", "Give the folder that it is in.")
        raise UsageError(f"There is no folder {shown}.", "Check the name.")
    benchmark = _recognise(path, lr, part)
    if not _pictures(benchmark.hr):
        raise UsageError(
            f"There are no pictures in {display_name(benchmark.hr)}.",
            "Give a folder with pictures, with HR/ and LR_bicubic/, or DIV2K's.",
        )
    return benchmark


def load_pair(pair: Pair, max_pixels: int = DEFAULT_MAX_PIXELS) -> LoadedPair:
    """Read a picture and its smaller version, or make that one.

    The original is cropped at its right and lower end to `scale` times the smaller version.

    Args:
        pair: the picture.
        max_pixels: refuse files with more pixels than this.

    Raises:
        PictureError: a file is missing or cannot be read, or the sizes do not fit.
    """
    hr, notes, _ = _read(pair.hr, max_pixels)
    compression = None
    height, width = (size // pair.scale for size in hr.shape[:2])
    if not height or not width:
        raise PictureError(
            f"{_size(hr)} pixels are too few for x{pair.scale}.", about=display_name(pair.hr)
        )
    if pair.lr is None:
        lr = resize.downscale(hr, pair.scale)
    else:
        if not os.path.lexists(pair.lr):
            raise PictureError(
                f"its LR picture {display_name(pair.lr)} is missing.",
                "Complete the data set; without the whole folder, LR pictures are made from HR.",
                about=display_name(pair.hr),
            )
        lr, more, compression = _read(pair.lr, max_pixels)
        notes += more
        if lr.shape[:2] != (height, width):
            raise PictureError(
                f"it has {_size(lr)} pixels, but {width} x {height} belong"
                f" to the {_size(hr)} of {display_name(pair.hr)} at x{pair.scale}.",
                "HR and LR are of different pictures, or LR is for another scale.",
                about=display_name(pair.lr),
            )
    return LoadedPair(hr[: height * pair.scale, : width * pair.scale], lr, notes, compression)


def _recognise(path: Path, lr: str, part: str) -> Benchmark:
    name, parent = _name_and_parent(path)
    if name == "HR":
        path, (name, _) = parent, _name_and_parent(parent)
    if _is_folder(path / "HR"):
        return Benchmark(name, path / "HR", _existing(path / f"LR_{lr}"))
    if _is_folder(path / f"DIV2K_{part}_HR"):
        path, name, parent = path / f"DIV2K_{part}_HR", f"DIV2K_{part}_HR", path
    if match := _DIV2K_HR.fullmatch(name):
        small = _existing(parent / f"DIV2K_{match[1]}_LR_{lr}")
        whole = "DIV2K" if match[1] == "valid" else "DIV2K_train"
        return Benchmark(whole, path, small, is_div2k=True)
    return Benchmark(name, path)


def _name_and_parent(path: Path) -> tuple[str, Path]:
    """What a folder is called, also if it is given as "." or "..", and the one that it is in."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links are not followed: their name counts
    return absolute.name, path.parent if path.name == absolute.name else absolute.parent


def _existing(folder: Path) -> Path | None:
    return folder if _is_folder(folder) else None


def _is_folder(path: Path) -> bool:
    """False, not an error, whatever the name, and where one may not look."""
    return os.path.isdir(path)


def _pictures(folder: Path) -> list[Path]:
    """The files in a folder that are called pictures, by name; none of the folders below it."""
    try:
        listing = Listing.read(folder)
    except OSError as error:
        raise UsageError(
            f"{display_name(folder)} cannot be read ({error.strerror}).", "Check its permissions."
        ) from error
    return [folder / name for name in listing.shown if Path(name).suffix.lower() in READ_SUFFIXES]


def _read(
    path: Path, max_pixels: int
) -> tuple[NDArray[np.uint8], tuple[str, ...], Compression | None]:
    picture = decode(path, max_pixels)
    notes = tuple(f"{display_name(path)}: {note}" for note in picture.notes)
    return to_uint8(picture.pixels), notes, picture.compression


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
