"""What updates need from the host, in tensors on the device that stay where they are.

Each update's tables and numbers lie in one block of bytes, so that one copy brings them. Blocks for
the next updates are filled ahead by a thread, in memory that a GPU can read by itself, while the
device is still at work on the present one; there are few of them, so the host cannot run away.
"""

import math
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count

import torch
from torch import Tensor

from edsr_cli.training.patches import Batch, Draw, Sampler, Tables

_AHEAD = 4  # updates that a GPU may be behind
_ALIGNMENT = 16  # bytes; more than any number needs

Feeding = Generator["Slot", None, None]


class Layout:
    """Where tensors of fixed shapes and types lie in a block of bytes.

    Args:
        like: tensors with the names, shapes and types.

    Attributes:
        size: of the block, in bytes.
    """

    def __init__(self, like: Tables) -> None:
        self._places: dict[str, tuple[int, int, torch.dtype, torch.Size]] = {}
        self.size = 0
        for name, tensor in like.items():
            bytes_ = tensor.numel() * tensor.element_size()
            self._places[name] = (self.size, bytes_, tensor.dtype, tensor.shape)
            self.size += math.ceil(bytes_ / _ALIGNMENT) * _ALIGNMENT

    def views(self, block: Tensor) -> dict[str, Tensor]:
        """The tensors that lie in a block, to be read and written."""
        return {
            name: block[begin : begin + bytes_].view(dtype).view(shape)
            for name, (begin, bytes_, dtype, shape) in self._places.items()
        }


class Slot:
    """A block on the host that is filled, sent to the device, and filled again.

    Args:
        layouts: what lies in it, for each scale.
        device: where it is sent to.

    Attributes:
        scale: of the update that it is filled for.
    """

    def __init__(self, layouts: Mapping[int, Layout], device: torch.device) -> None:
        size = max(layout.size for layout in layouts.values())
        self._block = torch.zeros(size, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._views = {scale: layout.views(self._block) for scale, layout in layouts.items()}
        # A thread that waits for a blocking event sleeps.
        self._sent: torch.cuda.Event | None = None
        if device.type == "cuda":
            self._sent = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self.scale = 0

    def fill(self, draw: Draw) -> None:
        """Take a draw, as soon as what was in the slot before is on the device."""
        if self._sent is not None:
            self._sent.synchronize()
        self.scale = draw.scale
        for name, tensor in draw.tables.items():
            self._views[self.scale][name].copy_(tensor)

    def write(self, numbers: Mapping[str, float]) -> None:
        """Set numbers."""
        for name, number in numbers.items():
            self._views[self.scale][name].fill_(number)

    def send(self, block: Tensor) -> None:
        """Copy the slot to a block on the device; a GPU does so when it gets there."""
        block.copy_(self._block, non_blocking=self._sent is not None)
        if self._sent is not None:
            self._sent.record()


class Feed:
    """Gives the draws of a sampler, in order, in slots.

    Where the pictures are on another device than the training, the patches are cut on theirs, and
    sent in place of what places them.

    Args:
        sampler: makes the batches.
        numbers: what an update needs besides, by name; the caller writes it into each slot.
        device: of the training.
        ahead: slots that a thread fills ahead; 0 fills one when it is asked for. None chooses.

    Attributes:
        numbers: those that were last sent, on the device.
    """

    def __init__(
        self, sampler: Sampler, numbers: Tables, device: torch.device, ahead: int | None = None
    ) -> None:
        self._sampler = sampler
        self._cuts = sampler.device != device
        self._ahead = (_AHEAD if device.type != "cpu" else 0) if ahead is None else ahead
        layouts = {}
        for scale in sampler.scales:
            example = sampler.example(scale)
            # The numbers come first, so they are in the same place whatever the scale.
            layouts[scale] = Layout({**numbers, **self._brought(example).tables})
        self._slots = [Slot(layouts, device) for _ in range(max(self._ahead, 1))]
        self._block = torch.zeros(
            max(layout.size for layout in layouts.values()), dtype=torch.uint8, device=device
        )
        self._views = {scale: layout.views(self._block) for scale, layout in layouts.items()}
        self.numbers = {name: self._views[sampler.scales[0]][name] for name in numbers}

    def send(self, slot: Slot) -> None:
        """Bring what is in a slot to the device."""
        slot.send(self._block)

    def batch(self, scale: int) -> Batch:
        """The batch that was last sent; for the device alone, the host does not wait for it."""
        tables = self._views[scale]
        if not self._cuts:
            return self._sampler.make(scale, tables)
        lr, hr = (tables[name].permute(0, 3, 1, 2) for name in ("lr", "hr"))
        return self._sampler.finish(scale, lr, hr, tables)

    @contextmanager
    def from_batch(self, number: int) -> Generator[Feeding, None, None]:
        """Slots with batch `number` and those that come after it, without end.

        Send each one before the next is asked for.
        """
        with closing(self._filled_ahead(number) if self._ahead else self._filled(number)) as slots:
            yield slots

    def _filled(self, first: int) -> Feeding:
        for number in count(first):
            yield self._fill(self._slots[0], number)

    def _filled_ahead(self, first: int) -> Feeding:
        with ThreadPoolExecutor(1) as pool:
            coming = deque(
                pool.submit(self._fill, slot, number)
                for number, slot in enumerate(self._slots, first)
            )
            try:
                for number in count(first + len(coming)):
                    slot = coming.popleft().result()
                    yield slot
                    coming.append(pool.submit(self._fill, slot, number))
            finally:
                pool.shutdown(cancel_futures=True)

    def _fill(self, slot: Slot, number: int) -> Slot:
        slot.fill(self._brought(self._sampler.draw(number)))
        return slot

    def _brought(self, draw: Draw) -> Draw:
        """What is sent to the device for a draw."""
        if not self._cuts:
            return draw
        lr, hr = self._sampler.cut(draw.scale, draw.tables)
        tables = self._sampler.without_places(draw.tables)
        return Draw(
            draw.scale,
            {**tables, "lr": lr.permute(0, 2, 3, 1), "hr": hr.permute(0, 2, 3, 1)},
        )
