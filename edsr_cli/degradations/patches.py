"""Degradation of patches and pictures: what each one gets, and the tensors that do it.

Two halves, so that a GPU can be fed: `Degradation.draw` makes a table of numbers, a row for each
patch, from a random generator; `Degradation.apply` is a function of tensors of fixed shapes, which
takes every patch through the same operations, whatever its row says.
"""

from collections.abc import Mapping

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor

from edsr_cli.degradations import jpeg, noise, resampling
from edsr_cli.degradations.spec import Spec, Strength

_GRID = 8  # pixels between the borders of a JPEG's blocks
_ODD_SIGMAS = 0.2  # share of the blurred patches whose rows and columns have different sigmas

Table = Mapping[str, NDArray[np.generic]]
"""Arrays of N numbers by name."""


class Degradation(Struct, frozen=True):
    """Makes LR pictures worse, as a specification says.

    Attributes:
        spec: what is done.
    """

    spec: Spec

    def draw(self, count: int, random: np.random.Generator, whole: bool = False) -> Table:
        """What each of some patches gets.

        Args:
            count: patches.
            random: the only source of chance.
            whole: they are whole pictures, whose first JPEG has its grid at their corner; that of a
                patch lies anywhere.
        """
        spec = self.spec
        kept = random.random(count) < spec.clean
        blur = _values(spec.blur, count, random, kept)
        other = _values(spec.blur, count, random, blur == 0)
        odd = (random.random(count) < _ODD_SIGMAS) & (spec.blur is not None)
        chosen = [resampling.FILTERS.index(name) for name in spec.filters or (_BICUBIC,)]
        filtered = (random.random(count) < spec.filter_share) & bool(spec.filters) & ~kept
        quality = _values(spec.jpeg, count, random, kept)
        first = np.zeros((2, count), np.int64) if whole else random.integers(_GRID, size=(2, count))
        second = (first + random.integers(1, _GRID, size=(2, count))) % _GRID
        table = {
            "made": filtered | (blur > 0),
            "filter": np.where(filtered, random.choice(chosen, count), _BICUBIC_NUMBER),
            "blur_down": blur,
            "blur_right": np.where(odd, other, blur),
            "noise": _values(spec.noise, count, random, kept),
            "shot": _values(spec.shot, count, random, kept),
            "grey": random.random(count) < spec.grey,
            "key": random.integers(2**32, size=count),
            "quality": np.round(quality),
            "full_colour": random.random(count) < spec.full_colour,
            "again": np.round(_values(spec.again, count, random, quality == 0)),
            "down": first[0],
            "right": first[1],
            "again_down": second[0],
            "again_right": second[1],
        }
        # Not every device has fp64.
        return {
            name: values.astype(np.float32) if values.dtype == np.float64 else values
            for name, values in table.items()
        }

    def apply(self, hr: Tensor | None, lr: Tensor, table: Mapping[str, Tensor]) -> Tensor:
        """Degraded LR patches.

        Args:
            hr: (N, 3, scale * H, scale * W), 0..255; None will do if `spec.needs_hr` is false.
            lr: (N, 3, H, W), 0..255, made from HR by MATLAB's bicubic rule.
            table: from `draw`, on the patches' device.

        Returns:
            (N, 3, H, W), whole numbers in 0..255 as fp32.
        """
        spec = self.spec
        if spec.needs_hr:
            assert hr is not None
            made = _levels(self._reduced(hr, lr.shape[2:], table))
            lr = torch.where(_each(table["made"]), made, lr)
        if spec.noise or spec.shot:
            lr = self._noisy(lr, table)
        if spec.jpeg:
            lr = _compressed(lr, table, "quality", "down", "right")
        if spec.again:
            lr = _compressed(lr, table, "again", "again_down", "again_right")
        return lr

    def _reduced(self, hr: Tensor, size: torch.Size, table: Mapping[str, Tensor]) -> Tensor:
        scale = hr.shape[2] // size[0]
        widest = self.spec.blur.high if self.spec.blur else 0.0
        rows, columns = (
            resampling.matrices(length, scale, table["filter"], table[name].float() * scale, widest)
            for length, name in zip(size, ("blur_down", "blur_right"), strict=True)
        )
        return resampling.reduce(hr, rows, columns)

    def _noisy(self, lr: Tensor, table: Mapping[str, Tensor]) -> Tensor:
        numbers = noise.gaussian(table["key"], tuple(lr.shape[1:]))
        if self.spec.grey:
            numbers = torch.where(_each(table["grey"]), numbers[:, :1], numbers)
        variance = _each(table["noise"]).float() ** 2
        variance = variance + _each(table["shot"]).float() ** 2 * (lr / 255)
        return _levels(lr + numbers * variance.sqrt())


def degrade_picture(
    degradation: Degradation, hr: NDArray[np.uint8], lr: NDArray[np.uint8], seed: int
) -> tuple[NDArray[np.uint8], int]:
    """A whole LR picture, degraded.

    Args:
        degradation: what is done.
        hr: (scale * H, scale * W, 3), 0..255.
        lr: (H, W, 3), 0..255.
        seed: of what is drawn; the same one gives the same picture.

    Returns:
        (H, W, 3), 0..255; and the quality of the JPEG that it comes from at last, 0 for none.
    """
    drawn = degradation.draw(1, np.random.default_rng(seed), whole=True)
    table = {name: torch.from_numpy(np.asarray(values)) for name, values in drawn.items()}
    big = _tensor(hr) if degradation.spec.needs_hr else None
    result = degradation.apply(big, _tensor(lr), table)
    pixels = result[0].permute(1, 2, 0).to(torch.uint8).contiguous().numpy()
    return pixels, int(drawn["again"][0] or drawn["quality"][0])


_BICUBIC = resampling.FILTERS[3]
_BICUBIC_NUMBER = resampling.FILTERS.index(_BICUBIC)


def _values(
    strength: Strength | None, count: int, random: np.random.Generator, left_out: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Values from a range, 0 for patches that do not get the step.

    Chance is asked as often whatever the answers are: a change of one step leaves the others.
    """
    even, share = random.random(count), random.random(count)
    if strength is None:
        return np.zeros(count)
    values = strength.low + (strength.high - strength.low) * even
    return np.where((share < strength.share) & ~left_out, values, 0.0)


def _compressed(
    lr: Tensor, table: Mapping[str, Tensor], quality: str, down: str, right: str
) -> Tensor:
    """Through JPEG files, for the patches that have a quality.

    Their blocks begin `down` rows and `right` columns behind the corner.
    """
    rows, columns = (
        torch.arange(length, device=lr.device) + table[name][:, None]
        for length, name in zip(lr.shape[2:], (down, right), strict=True)
    )
    height, width = lr.shape[2:]
    moved = _picked(lr, rows.clamp(max=height - 1), columns.clamp(max=width - 1))
    chosen = table[quality].float()
    result = jpeg.compress(moved, chosen.clamp(min=1), table["full_colour"])
    rows, columns = rows - 2 * table[down][:, None], columns - 2 * table[right][:, None]
    result = _picked(result, rows.clamp(min=0), columns.clamp(min=0))
    return torch.where(_each(chosen > 0), result, lr)


def _picked(pictures: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(N, C, H, W) from the pixels at (N, H) rows and (N, W) columns."""
    count, channels, _, width = pictures.shape
    index = (rows[:, :, None] * width + columns[:, None]).flatten(1)[:, None]
    picked = pictures.flatten(2).gather(2, index.expand(-1, channels, -1))
    return picked.reshape(count, channels, rows.shape[1], columns.shape[1])


def _levels(values: Tensor) -> Tensor:
    """Rounded to 8 bits, halves up."""
    return (values + 0.5).floor().clamp(0, 255)


def _each(numbers: Tensor) -> Tensor:
    """(N,) as (N, 1, 1, 1)."""
    return numbers[:, None, None, None]


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
