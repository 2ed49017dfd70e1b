"""Versions of pictures for `compare`: by networks, by interpolation, from files."""

import itertools
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from edsr_cli.api.opening import open_network, put_on_device
from edsr_cli.checkpoints import registry
from edsr_cli.errors import UsageError
from edsr_cli.evaluation.metrics import SSIM_WINDOW
from edsr_cli.evaluation.scores import measure
from edsr_cli.files.names import display_name
from edsr_cli.images import DEFAULT_MAX_PIXELS, Picture, decode
from edsr_cli.inference import Upscaler
from edsr_cli.options.comparing import CompareOptions
from edsr_cli.options.pictures import UpscaleOptions, Upscaling
from edsr_cli.options.reading import Setting, crop_numbers
from edsr_cli.pixels import resize
from edsr_cli.pixels.arrays import Pixels, empty_pixels
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.pixels.transfer import for_network
from edsr_cli.pixels.windows import ArrayWindow, Region
from edsr_cli.progress import Progress
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.restoration.networks import at_choice, choice_for
from edsr_cli.text import one_line

_REACH = 2  # input pixels on either side that bicubic interpolation depends on


class Choice(Struct, frozen=True):
    """A model in a strength of restoring, on its device.

    Attributes:
        label: what to call it.
        asked: the options for it.
        model: the model's name.
        upscaler: what upscales with it.
    """

    label: str
    asked: Upscaling
    model: str
    upscaler: Upscaler


def load_choices(
    options: CompareOptions, models: Sequence[str], progress: Progress
) -> list[Choice]:
    """Every model in every strength; all of one scale.

    Of several models, one that cannot restore is there once, as it is.

    Raises:
        UsageError, WeightsError: see `edsr_cli.api.opening`.
    """
    choices: list[Choice] = []
    scale = options.scale
    for model in models:
        able = len(models) == 1 or _can_restore(model)
        settings = (options.restore if able else ()) or (None,)
        for setting in settings:
            # Which files are replaced is said of pages, not of pictures.
            asked = options.part(Upscaling, model=model, restore=setting, overwrite=False)
            network = open_network(asked, scale, progress)
            scale = network.scale
            upscaler = put_on_device(asked, network, asked.device, progress)
            strength = f", restore {_number(setting)}" if len(settings) > 1 else ""
            choices.append(Choice(f"{_name(model)}{strength}", asked, network.name, upscaler))
    return choices


def _can_restore(model: str) -> bool:
    rows = [row for row in registry.rows() if row.name == model]
    return any(row.restored_by for row in rows)


class Subject(Struct, frozen=True):
    """An input, with what is given to compare it with.

    Attributes:
        path: the file.
        source: its picture.
        finished: pictures from files, by their names.
        reference: the original's file and picture, if there is one.
        scale: how many times larger than the source all of these are.
    """

    path: str
    source: Picture
    finished: Mapping[str, Picture]
    reference: tuple[str, Picture] | None
    scale: int

    @classmethod
    def read(
        cls, path: str, files: Sequence[str], reference: str | None, scale: int | None, most: int
    ) -> "Subject":
        """Read them.

        Args:
            path, files, reference: the files.
            scale: see `Subject`; None to go by a file's height.
            most: refuse inputs with more pixels.

        Raises:
            PictureError: one cannot be read.
            UsageError: their sizes do not fit.
        """
        source = decode(Path(path), most)
        height, width = source.window.shape[:2]

        def large(name: str) -> Picture:
            return decode(Path(name), max(DEFAULT_MAX_PIXELS, most))

        finished = {name: large(name) for name in files}
        original = None if reference is None else (reference, large(reference))
        if scale is None:
            first = next(iter(finished.values()), None) or (original and original[1])
            assert first is not None  # or there would be a network
            scale = max(1, first.window.shape[0] // height)
        for name, picture in finished.items():
            _check_size(name, picture, (width * scale, height * scale), spare=0)
        if original is not None:
            # What is over of an original at its right and lower end, no pixel of the input shows.
            _check_size(*original, (width * scale, height * scale), spare=scale - 1)
        return cls(path, source, finished, original, scale)

    def compare(
        self,
        interpolations: Sequence[str],
        choices: Sequence[Choice],
        options: CompareOptions,
        progress: Progress,
    ) -> Iterator[Comparison]:
        """All versions of it, or of the parts of it that are asked for.

        Raises:
            UsageError: a part is not inside.
        """
        height, width = self.source.window.shape[:2]
        for crop in options.crop or (None,):
            region = _region(crop, self.path, width, height)
            versions = [self._interpolated(kind, region) for kind in interpolations]
            versions += [self._cut(name, each, region) for name, each in self.finished.items()]
            versions += [self._upscaled(each, region, options, progress) for each in choices]
            border = self.scale if crop is None else 0
            size = _size(region, self.scale)
            if self.reference is not None:
                versions = self._measured(versions, region, size, border)
            shown = _name(self.path)
            name = shown if crop is None else f"{shown} {crop}"
            told = _told_apart(versions)
            yield Comparison(name, self.path, crop, size, self.scale, border, told)

    def _interpolated(self, kind: str, region: Region) -> Version:
        profile = self.source.metadata.icc_profile
        if kind == "nearest":  # kept small: pages and sheets enlarge it
            return Version(kind, kind, _part(self.source, region), profile)
        height, width = self.source.window.shape[:2]
        read = region.grown(_REACH, height, width)
        large = resize.upscale(_part(self.source, read), self.scale)
        return Version(kind, kind, _inner(large, region, read, self.scale), profile)

    def _cut(self, name: str, picture: Picture, region: Region) -> Version:
        pixels = _part(picture, _enlarged(region, self.scale))
        return Version(_name(name), "file", pixels, picture.metadata.icc_profile)

    def _upscaled(
        self, choice: Choice, region: Region, options: CompareOptions, progress: Progress
    ) -> Version:
        upscaler, scale = choice.upscaler, self.scale
        pixels = self.source.pixels
        stated, linear = self.source.compression, self.source.linear
        chosen = choice_for(upscaler, self.source.window, stated, linear=linear)
        used = at_choice(upscaler, chosen)
        height, width = pixels.shape[:2]
        read = region.grown(used.footprint(options.ensemble).radius, height, width)
        part: Pixels = pixels[read.top : read.bottom, read.left : read.right].copy()
        # As edsr upscale does it, with all bits of the input; the page shows the upper eight.
        enlarged = empty_pixels(scale * part.shape[0], scale * part.shape[1], part.dtype)
        source, target = for_network(ArrayWindow(part), ArrayWindow(enlarged), linear=linear)
        begin = time.perf_counter()
        with progress(f"{display_name(Path(self.path))}, {choice.label}", scale**2) as report:
            upscaled = used.upscale_into(
                source, target, ensemble=options.ensemble, tile=options.tile, progress=report
            )
        made = {
            "model": choice.model,
            "device": upscaler.engine.describe(upscaler.device),
            "precision": upscaled.precision.value,
            "restore": chosen and chosen.strength,
            "restore_reason": chosen and chosen.reason,
            "seconds": round(time.perf_counter() - begin, 3),
            "memory_bytes": upscaled.plan.bytes,
        }
        large = _inner(to_uint8(enlarged), region, read, scale)
        asked = UpscaleOptions(self.path, scale=scale, **vars(choice.asked))
        command = shlex.join(["edsr", "upscale", *asked.words()])
        profile = self.source.metadata.icc_profile
        return Version(choice.label, "network", large, profile, command, made)

    def _measured(
        self, versions: Sequence[Version], region: Region, size: tuple[int, int], border: int
    ) -> list[Version]:
        """The versions with their scores, and the original behind them."""
        assert self.reference is not None
        _, picture = self.reference
        pixels = _part(picture, _enlarged(region, self.scale))
        width, height = size
        measured = list(versions)
        if min(size) >= SSIM_WINDOW + 2 * border:
            measured = [
                replace(each, scores=scores.to_dict())
                for each in versions
                for scores in [measure(each.part(size, 0, 0, height, width), pixels, border)]
            ]
        original = Version("reference", "reference", pixels, picture.metadata.icc_profile)
        return [*measured, original]


def _number(setting: Setting | None) -> str:
    return setting if isinstance(setting, str) else f"{setting:g}"


def _name(path: str) -> str:
    """What to call a model, or a file."""
    return one_line(Path(path).name or path)


def _told_apart(versions: Sequence[Version]) -> list[Version]:
    """The same with a number behind labels that an earlier version has, and no other."""
    own = [each.label for each in versions]
    labels: list[str] = []
    for label in own:
        if label in labels:
            numbered = (f"{label} ({number})" for number in itertools.count(2))
            label = next(each for each in numbered if each not in (*own, *labels))
        labels.append(label)
    return [replace(each, label=label) for each, label in zip(versions, labels, strict=True)]


def _region(crop: str | None, path: str, width: int, height: int) -> Region:
    if crop is None:
        return Region(0, height, 0, width)
    wide, high, left, top = crop_numbers(crop)
    if left + wide > width or top + high > height:
        raise UsageError(
            f"--crop {crop} is not inside its {width} x {height} pixels.",
            "Give width, height, left and top in pixels of the input.",
            about=display_name(Path(path)),
        )
    return Region(top, top + high, left, left + wide)


def _enlarged(region: Region, scale: int) -> Region:
    return Region(
        region.top * scale, region.bottom * scale, region.left * scale, region.right * scale
    )


def _size(region: Region, scale: int) -> tuple[int, int]:
    return (region.right - region.left) * scale, (region.bottom - region.top) * scale


def _part(picture: Picture, region: Region) -> NDArray[np.uint8]:
    """A part of a picture, 8 bits."""
    rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
    return to_uint8(picture.pixels[rows, columns])


def _inner(
    pixels: NDArray[np.uint8], region: Region, read: Region, scale: int
) -> NDArray[np.uint8]:
    """What was asked for of what was enlarged."""
    inner = _enlarged(region.within(read), scale)
    return np.ascontiguousarray(pixels[inner.top : inner.bottom, inner.left : inner.right])


def _check_size(name: str, picture: Picture, wanted: tuple[int, int], *, spare: int) -> None:
    height, width = picture.window.shape[:2]
    over = width - wanted[0], height - wanted[1]
    if not all(0 <= each <= spare for each in over):
        raise UsageError(
            f"it has {width} x {height} pixels, not the {wanted[0]} x {wanted[1]} of what it is "
            "compared with.",
            "Give the scale with -s, or a picture of that size.",
            about=display_name(Path(name)),
        )
