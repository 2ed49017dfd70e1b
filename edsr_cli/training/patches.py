"""Batches of patches, cut at random from the training pictures.

What is random about a batch is drawn on the host, into tables that are small and always of the same
shape; cutting is a function of these tables on the device. So a GPU can repeat it as it is.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from msgspec import Struct
from torch import Tensor

from edsr_cli.degradations.patches import Degradation
from edsr_cli.degradations.spec import MARGIN
from edsr_cli.training.photos import Photos

_DEGRADATION = 1  # sets its random numbers apart from those that choose the patches
_SHARE_OF_GPU = 0.5  # of its free memory; the rest is for the training itself

_PLACES = "places"

Tables = Mapping[str, Tensor]
"""What was drawn for a batch, by name; for every batch of a scale of the same shapes."""


class Draw(Struct, frozen=True):
    """The random part of a batch, on the host.

    Attributes:
        scale: the scale of all its patches.
        tables: what to make the batch by.
    """

    scale: int
    tables: Tables


class Batch(Struct, frozen=True):
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
    """Makes batches: every picture with equal chance, then any place in it, any of eight views.

    What batch number n holds depends on the seed and on n alone, so a training that is resumed goes
    on with the very patches that it would have had.

    Args:
        photos: the pictures.
        scales: the scales to choose from, one for each batch.
        batch_size: patches in a batch.
        patch_size: height and width of a patch in LR pixels.
        seed: of all choices.
        device: where the pictures are kept, and batches are made.
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
        self._hr = _pixels(photos.hr, device)
        self._lr = {scale: _pixels(photos.lr[scale], device) for scale in scales}
        self._sizes = np.array([(p.height, p.width) for p in photos.photos])
        self._hr_starts = np.array([p.hr // 3 for p in photos.photos])
        self._lr_starts = {s: np.array([p.lr[s] // 3 for p in photos.photos]) for s in scales}

    def draw(self, number: int) -> Draw:
        """The random part of batch number `number`, from 0."""
        random = np.random.default_rng([self.seed, number])
        scale = self.scales[random.integers(len(self.scales))]
        return self._draw(random, np.random.default_rng([self.seed, number, _DEGRADATION]), scale)

    def example(self, scale: int) -> Draw:
        """A draw of a scale, for its names, shapes and types."""
        return self._draw(np.random.default_rng(0), np.random.default_rng(0), scale)

    def make(self, scale: int, tables: Tables) -> Batch:
        """The batch that was drawn; what it holds and how long it takes do not show on the host.

        Args:
            scale: that of the draw.
            tables: those of the draw, on the device of the pictures.
        """
        return self.finish(scale, *self.cut(scale, tables), tables)

    def cut(self, scale: int, tables: Tables) -> tuple[Tensor, Tensor]:
        """The patches that were drawn: LR (N, 3, P, P) and HR, uint8, channels last in memory.

        Patches to be degraded have `MARGIN` more LR pixels at each side.
        """
        lr_start, lr_width, hr_start, hr_width, top, left, view = tables[_PLACES].unbind(1)
        size = self._reach
        lr = self._cut(self._lr[scale], lr_start, lr_width, top, left, view, size)
        hr = self._cut(self._hr, hr_start, hr_width, top * scale, left * scale, view, size * scale)
        return lr, hr

    def finish(self, scale: int, lr: Tensor, hr: Tensor, tables: Tables) -> Batch:
        """What becomes of patches that were cut, on their device, whatever it is.

        Args:
            scale: that of the draw.
            lr, hr: what `cut` gave.
            tables: those of the draw; what places patches may be left out.
        """
        lr, hr = lr.float(), hr.float()
        if self.degradation is not None:
            lr = _without(self.degradation.apply(hr, lr, tables), MARGIN)
            hr = _without(hr, MARGIN * scale)
        return Batch(scale, lr, hr)

    def batch(self, number: int) -> Batch:
        """Batch number `number`, from 0, on the device of the pictures."""
        draw = self.draw(number)
        return self.make(draw.scale, {k: t.to(self.device) for k, t in draw.tables.items()})

    def without_places(self, tables: Tables) -> dict[str, Tensor]:
        """What `finish` needs of the tables of a draw."""
        return {name: table for name, table in tables.items() if name != _PLACES}

    def _draw(
        self, random: np.random.Generator, suffering: np.random.Generator, scale: int
    ) -> Draw:
        """Draw what patches are chosen, and, from a generator of its own, what they suffer."""
        chosen = random.integers(len(self._sizes), size=self.batch_size)
        small = self._sizes[chosen] // scale
        corner = random.integers(0, small - self._reach + 1)
        view = random.integers(8, size=self.batch_size)
        columns = [
            self._lr_starts[scale][chosen],
            small[:, 1],
            self._hr_starts[chosen],
            self._sizes[chosen, 1],
            corner[:, 0],
            corner[:, 1],
            view,
        ]
        tables = {_PLACES: torch.from_numpy(np.stack(columns, 1).astype(np.int64))}
        if self.degradation is not None:
            drawn = self.degradation.draw(self.batch_size, suffering)
            tables |= {name: torch.from_numpy(values) for name, values in drawn.items()}
        return Draw(scale, tables)

    @property
    def _reach(self) -> int:
        """Height and width of what is cut, in LR pixels: a patch with its margin."""
        return self.patch_size + (0 if self.degradation is None else 2 * MARGIN)

    def _cut(
        self,
        pixels: Tensor,
        start: Tensor,
        width: Tensor,
        top: Tensor,
        left: Tensor,
        view: Tensor,
        size: int,
    ) -> Tensor:
        """Gather the patches of a batch from all pixels, (N, 3, size, size), uint8.

        Args:
            pixels: (all, 3).
            start: (N,), the first pixel of each patch's picture.
            width: (N,), of each patch's picture.
            top, left: (N,), each patch's first row and column.
            view: (N,), of each patch: 1 flips columns, 2 flips rows, 4 transposes.
            size: height and width of a patch.
        """
        start, width, top, left, view = (
            each[:, None, None] for each in (start, width, top, left, view)
        )
        # A view is a way to walk over the patch: the flips run backwards, and the transposition
        # exchanges what a step down and a step to the right mean.
        step = torch.arange(size, device=pixels.device)
        down, right = step[None, :, None], step[None, None, :]
        transposed = (view & 4) > 0
        row = torch.where(transposed, right, down)
        column = torch.where(transposed, down, right)
        row = torch.where((view & 2) > 0, size - 1 - row, row)
        column = torch.where((view & 1) > 0, size - 1 - column, column)
        return pixels[start + (top + row) * width + left + column].permute(0, 3, 1, 2)


def home(photos: Photos, device: torch.device) -> torch.device:
    """Where to keep the pictures: on a GPU that has room for them, else in memory."""
    if device.type != "cuda":
        return torch.device("cpu")
    needed = photos.hr.nbytes + sum(samples.nbytes for samples in photos.lr.values())
    free, _ = torch.cuda.mem_get_info(device)
    return device if needed < free * _SHARE_OF_GPU else torch.device("cpu")


def _pixels(samples: np.ndarray, device: torch.device) -> Tensor:
    """Flat samples, each picture (H, W, 3), as (all pixels, 3)."""
    return torch.from_numpy(samples).to(device).view(-1, 3)


def _without(patches: Tensor, margin: int) -> Tensor:
    """Patches without their outermost pixels, channels last in memory."""
    inner = patches[:, :, margin:-margin, margin:-margin]
    return inner.contiguous(memory_format=torch.channels_last)
