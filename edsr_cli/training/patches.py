"""Batches of patches, cut at random from the training pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edsr_cli.degradations.patches import Degradation
from edsr_cli.degradations.spec import MARGIN
from edsr_cli.training.photos import Photos

_DEGRADATION = 1  # sets its random numbers apart from those that choose the patches
_SHARE_OF_GPU = 0.5  # of its free memory; the rest is for the training itself


@dataclass(frozen=True)
class Batch:
    """What one update learns from.

    Attributes:
        scale: the scale of all its patches.
        lr: (N, 3, P, P), fp32, 0..255.
        hr: (N, 3, scale * P, scale * P), fp32, 0..255.
    """

    scale: int
    lr: Tensor
    hr: Tensor


class Sampler:
    """Cuts batches: every picture with equal chance, then any place in it, any of eight views.

    What batch number n holds depends on the seed and on n alone, so a training that is resumed goes
    on with the very patches that it would have had.

    Args:
        photos: the pictures.
        scales: the scales to choose from, one for each batch.
        batch_size: patches in a batch.
        patch_size: height and width of a patch in LR pixels.
        seed: of all choices.
        device: where the pictures are kept, and batches are cut.
        degradation: what is done to LR patches; None for nothing.
    """

    def __init__(
        self,
        photos: Photos,
        scales: Sequence[int],
        batch_size: int,
        patch_size: int,
        seed: int,
        device: torch.device,
        degradation: Degradation | None = None,
    ) -> None:
        self.scales, self.batch_size, self.patch_size = tuple(scales), batch_size, patch_size
        self.degradation = degradation
        self.seed, self.device = seed, device
        self._hr = torch.from_numpy(photos.hr).to(device)
        self._lr = {scale: torch.from_numpy(photos.lr[scale]).to(device) for scale in scales}
        self._sizes = np.array([(p.height, p.width) for p in photos.photos])
        self._hr_starts = np.array([p.hr for p in photos.photos])
        self._lr_starts = {s: np.array([p.lr[s] for p in photos.photos]) for s in scales}

    def batch(self, number: int) -> Batch:
        """Batch number `number`, from 0."""
        random = np.random.default_rng([self.seed, number])
        scale = self.scales[random.integers(len(self.scales))]
        chosen = random.integers(len(self._sizes), size=self.batch_size)
        small = self._sizes[chosen] // scale
        margin = 0 if self.degradation is None else MARGIN
        size = self.patch_size + 2 * margin
        corner = random.integers(0, small - size + 1)
        views = random.integers(8, size=self.batch_size)
        lr = self._cut(
            self._lr[scale], self._lr_starts[scale][chosen], small[:, 1], corner, views, size
        )
        hr = self._cut(
            self._hr,
            self._hr_starts[chosen],
            self._sizes[chosen, 1],
            corner * scale,
            views,
            size * scale,
        )
        if self.degradation is not None:
            lr = self.degradation.apply(hr, lr, self._table(number))
            lr, hr = _without(lr, margin), _without(hr, margin * scale)
        return Batch(scale, lr, hr)

    def _table(self, number: int) -> dict[str, Tensor]:
        """What the patches of a batch are degraded by; the choice of patches is not touched."""
        assert self.degradation is not None
        random = np.random.default_rng([self.seed, number, _DEGRADATION])
        drawn = self.degradation.draw(self.batch_size, random)
        return {name: torch.from_numpy(values).to(self.device) for name, values in drawn.items()}

    def _cut(
        self,
        samples: Tensor,
        starts: np.ndarray,
        widths: np.ndarray,
        corners: np.ndarray,
        views: np.ndarray,
        size: int,
    ) -> Tensor:
        """Gather the patches of a batch from a flat array, (N, 3, size, size).

        Args:
            samples: the array.
            starts: for each patch, where its picture begins.
            widths: for each patch, the width of its picture.
            corners: (N, 2), for each patch, its first row and column.
            views: for each patch, its view: 1 flips columns, 2 flips rows, 4 transposes.
            size: height and width of a patch.
        """
        # A view is a way to walk over the patch: the flips run backwards, and the transposition
        # exchanges what a step down and a step to the right mean.
        numbers = np.stack(
            [starts, widths, corners[:, 0], corners[:, 1], views & 1, views & 2, views & 4], 1
        )
        table = torch.from_numpy(numbers).to(self.device, non_blocking=True)
        start, width, top, left, mirrored, flipped, transposed = table[:, :, None, None].unbind(1)
        step = torch.arange(size, device=self.device)
        down, right = step[None, :, None], step[None, None, :]
        row = torch.where(transposed > 0, right, down)
        column = torch.where(transposed > 0, down, right)
        row = torch.where(flipped > 0, size - 1 - row, row)
        column = torch.where(mirrored > 0, size - 1 - column, column)
        pixel = start + ((top + row) * width + left + column) * 3
        channel = torch.arange(3, device=self.device)[None, :, None, None]
        return samples[pixel[:, None] + channel].float()


def home(photos: Photos, device: torch.device) -> torch.device:
    """Where to keep the pictures: on a GPU that has room for them, else in memory."""
    if device.type != "cuda":
        return torch.device("cpu")
    needed = photos.hr.nbytes + sum(samples.nbytes for samples in photos.lr.values())
    free, _ = torch.cuda.mem_get_info(device)
    return device if needed < free * _SHARE_OF_GPU else torch.device("cpu")


def _without(patches: Tensor, margin: int) -> Tensor:
    """Patches without their outermost pixels."""
    return patches[:, :, margin:-margin, margin:-margin].contiguous()
