"""How the LR versions of whole pictures come about, before anything is done to patches.

The paper's first track has MATLAB's bicubic rule, its second one an unknown operator: then LR
pictures are given beside the HR pictures, or are made by a kernel.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.datasets.benchmark import find_benchmark, load_pair
from edsr_cli.degradations.kernel import Kernel, estimate, read_kernel
from edsr_cli.errors import PictureError, UsageError
from edsr_cli.files.names import display_name
from edsr_cli.images import decode
from edsr_cli.model.config import SCALES
from edsr_cli.pixels import resize
from edsr_cli.pixels.depth import to_uint8

UNKNOWN = "unknown"
"""The name of the second track's degradation."""

_PAIRS_ENOUGH = 20  # pictures to estimate a kernel by
_PIXELS_ENOUGH = 256  # LR rows and columns of each of them


class Reduction(Protocol):
    """Gives the LR version of a picture.

    Attributes:
        identity: other LR versions have another one; it goes into the metadata of weights.
    """

    @property
    def identity(self) -> str:
        """See the class."""
        ...

    def __call__(self, path: Path, hr: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
        """The LR version, (H // scale, W // scale, 3).

        Args:
            path: the file of the HR picture.
            hr: its pixels, (H, W, 3), 0..255.
            scale: HR pixels to an LR pixel.

        Raises:
            PictureError: there is none.
        """
        ...


class Bicubic(Struct, frozen=True):
    """MATLAB's bicubic rule (see `edsr_cli.pixels.resize`)."""

    identity: str = "bicubic"

    def __call__(self, path: Path, hr: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
        return resize.downscale(hr, scale)


class ByKernel(Struct, frozen=True):
    """A blur kernel and decimation.

    Attributes:
        kernels: one for each scale.
    """

    kernels: Mapping[int, Kernel]

    @property
    def identity(self) -> str:
        """Names the kernels by their digests."""
        return ",".join(f"x{scale} {kernel.digest}" for scale, kernel in self.kernels.items())

    def __call__(self, path: Path, hr: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
        return self.kernels[scale].downscale(hr, scale)


class Given(Struct, frozen=True):
    """LR pictures that lie beside the HR pictures, in a data set's LR_unknown folder.

    Attributes:
        files: the LR file for each HR file and scale.
    """

    files: Mapping[tuple[Path, int], Path]
    identity: str = "given"

    def __call__(self, path: Path, hr: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
        file = self.files.get((path, scale))
        if file is None:
            raise PictureError(f"it has no LR picture for x{scale}.", about=display_name(path))
        lr = to_uint8(decode(file).pixels)
        wanted = (hr.shape[0] // scale, hr.shape[1] // scale)
        if lr.shape[:2] != wanted:
            raise PictureError(
                f"it has {lr.shape[1]} x {lr.shape[0]} pixels, but "
                f"{wanted[1]} x {wanted[0]} belong to {display_name(path)} at x{scale}.",
                about=display_name(file),
            )
        return lr


def choose(
    text: str, sources: Sequence[Path], scales: tuple[int, ...]
) -> tuple[Reduction, list[Path]]:
    """What gives the LR versions of a training's pictures.

    Args:
        text: a degradation: "unknown" takes the LR pictures that lie beside the HR pictures,
            "unknown:PATH" a kernel (see `by_kernel`); any other one MATLAB's bicubic rule.
        sources: the folders with the pictures.
        scales: the scales that are needed.

    Returns:
        The reduction, and the folders or files with the HR pictures.

    Raises:
        UsageError, PictureError: there are no such pictures, or no such kernel.
    """
    name, colon, path = text.partition(":")
    if name != UNKNOWN:
        return Bicubic(), list(sources)
    if colon:
        return by_kernel(Path(path), scales), list(sources)
    return given(sources, scales)


def given(sources: Sequence[Path], scales: tuple[int, ...]) -> tuple[Given, list[Path]]:
    """The HR and LR pictures of data sets with an LR_unknown folder.

    Args:
        sources: the data sets' folders.
        scales: the scales that are needed.

    Returns:
        What gives the LR versions, and the HR files.

    Raises:
        UsageError: a source is no such data set, or has nothing for a scale.
    """
    files: dict[tuple[Path, int], Path] = {}
    pictures: list[Path] = []
    for source in sources:
        benchmark = find_benchmark(str(source), "unknown", "train")
        for scale in scales:
            pairs = benchmark.pairs(scale)
            if pairs[0].lr is None:
                raise UsageError(
                    f"{display_name(source)} has no LR_unknown pictures for x{scale}.",
                    "Give a kernel's file, or a data set to estimate it by: unknown:PATH.",
                )
            files |= {(pair.hr, scale): pair.lr for pair in pairs if pair.lr is not None}
            pictures += [pair.hr for pair in pairs]
    return Given(files), list(dict.fromkeys(pictures))


def by_kernel(path: Path, scales: tuple[int, ...]) -> ByKernel:
    """Kernels from a file, from a folder with x2.npy and so on, or estimated by a data set's pairs.

    Raises:
        UsageError: there are none for a scale.
        PictureError: pairs cannot be read, or do not tell the kernel.
    """
    if not os.path.isdir(path):
        if len(scales) > 1:
            raise UsageError(
                f"{display_name(path)} is one kernel, but there are {len(scales)} scales.",
                "Give a folder with x2.npy, x3.npy and x4.npy.",
            )
        return ByKernel({scales[0]: read_kernel(path)})
    own = {scale: path / f"x{scale}.npy" for scale in scales}
    if any(os.path.lexists(path / f"x{scale}.npy") for scale in SCALES):
        return ByKernel({scale: read_kernel(file) for scale, file in own.items()})
    return ByKernel({scale: _estimated(path, scale) for scale in scales})


def _estimated(path: Path, scale: int) -> Kernel:
    """The kernel that a data set's LR_unknown pictures were made by."""
    pairs = find_benchmark(str(path), "unknown", "train").pairs(scale)
    if pairs[0].lr is None:
        raise UsageError(
            f"{display_name(path)} has neither x{scale}.npy nor LR_unknown pictures for x{scale}."
        )
    chosen = pairs[:: max(1, len(pairs) // _PAIRS_ENOUGH)][:_PAIRS_ENOUGH]
    loaded = (load_pair(pair) for pair in chosen)
    largest = _PIXELS_ENOUGH
    return estimate(
        ((p.hr[: largest * scale, : largest * scale], p.lr[:largest, :largest]) for p in loaded),
        scale,
    )
