"""Parts of validation pictures as the network makes them, over time, for the page of a run."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli.pixels import resize
from edsr_cli.pixels.windows import Region
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.report.pictures import Encoded, encoded
from edsr_cli.report.sheet import most_different
from edsr_cli.report.training_page import Part
from edsr_cli.training.validation import Pairs, Seen

MOST_PARTS = 3
"""Parts in all, or one for each scale."""

MOST_TIMES = 16
"""Times at which they are kept; of more, those that are nearest to each other go."""


class _Place(Struct, frozen=True):
    """Where a part is: the scale, the number of the picture, and the region in HR pixels."""

    scale: int
    number: int
    region: Region

    def cut(self, pixels: NDArray[np.uint8]) -> Encoded:
        region = self.region
        return encoded(
            np.ascontiguousarray(pixels[region.top : region.bottom, region.left : region.right])
        )


class Samples:
    """Keeps parts of a few pictures, where bicubic interpolation is worst.

    Args:
        pairs: the pictures that are validated on.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._names: list[str] = []
        self._places: list[_Place] = []
        self._around: list[tuple[Encoded, Encoded]] = []  # bicubic interpolation, and the original
        self._times: dict[int, dict[int, Encoded]] = {}  # by updates, and numbers of places
        scales = [scale for scale, pictures in pairs.items() if pictures]
        for scale in scales:
            count = min(max(1, MOST_PARTS // len(scales)), len(pairs[scale]))
            for part in range(count):
                number = (2 * part + 1) * len(pairs[scale]) // (2 * count)
                self._add(scale, number, pairs)

    def taking(self, update: int) -> Seen:
        """What takes the pictures of a validation after an update."""
        parts: dict[int, Encoded] = {}

        def take(scale: int, number: int, pixels: NDArray[np.uint8]) -> None:
            for index, place in enumerate(self._places):
                if (place.scale, place.number) == (scale, number):
                    parts[index] = place.cut(pixels)
            if len(parts) == len(self._places):
                self._keep(update, parts)

        return take

    def parts(self) -> Sequence[Part]:
        """What has been kept."""
        if not self._times:
            return []
        return [
            Part(
                name,
                place.scale,
                [
                    ("bicubic", bicubic),
                    *((f"update {update:,}", parts[n]) for update, parts in self._times.items()),
                    ("original", original),
                ],
            )
            for n, (name, place, (bicubic, original)) in enumerate(
                zip(self._names, self._places, self._around, strict=True)
            )
        ]

    def state_dict(self) -> dict[str, Any]:
        """What has been kept, as tensors and numbers, and what it is of."""
        times = {
            update: [
                torch.frombuffer(bytearray(parts[n].data), dtype=torch.uint8)
                for n in range(len(self._places))
            ]
            for update, parts in self._times.items()
        }
        return {"of": self._identity(), "times": times}

    def load_state_dict(self, state: Any) -> None:
        """Go on from what `state_dict` gave; what is of other pictures, or damaged, is left."""
        if not isinstance(state, dict) or state.get("of") != self._identity():
            return
        times = state.get("times")
        for update, tensors in times.items() if isinstance(times, dict) else ():
            if not isinstance(update, int) or len(tensors) != len(self._places):
                continue
            self._keep(
                update,
                {
                    n: Encoded(bytes(tensor.cpu().numpy()), original.kind, original.shape)
                    for n, (tensor, (_, original)) in enumerate(
                        zip(tensors, self._around, strict=True)
                    )
                },
            )

    def _add(self, scale: int, number: int, pairs: Pairs) -> None:
        pair = pairs[scale][number]
        bicubic = resize.upscale(pair.lr, scale)
        height, width = bicubic.shape[:2]
        versions = [
            Version("bicubic", "bicubic", bicubic),
            Version("original", "reference", pair.hr[:height, :width]),
        ]
        compared = Comparison("", "", None, (width, height), scale, 0, versions)
        [region] = most_different(compared, 1)
        place = _Place(scale, number, region)
        self._names.append(f"picture {number + 1} of {len(pairs[scale])}")
        self._places.append(place)
        self._around.append((place.cut(bicubic), place.cut(pair.hr)))

    def _keep(self, update: int, parts: dict[int, Encoded]) -> None:
        self._times[update] = parts
        if len(self._times) > MOST_TIMES:
            updates = sorted(self._times)
            gaps = {
                between: after - before
                for before, between, after in zip(updates, updates[1:], updates[2:], strict=False)
            }
            del self._times[min(gaps, key=gaps.__getitem__)]

    def _identity(self) -> str:
        """What tells these parts from those of other pictures."""
        return hashlib.sha256(
            b"".join(each.data for pair in self._around for each in pair)
        ).hexdigest()
