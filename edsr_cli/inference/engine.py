"""What an engine is: who computes with networks, on its devices, in its numbers.

The upscaler reads and writes pictures, cuts them, tries again when something fails, and knows of
engines no more than this. An engine owns tensors, number formats, devices and threads; it takes
and gives NumPy arrays, and what goes wrong in it is one of our own errors.
"""

from enum import Enum
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import NetworkConfig
from edsr_cli.pixels.arrays import Pixels
from edsr_cli.pixels.windows import Region


class Precision(Enum):
    """Number format of the residual blocks, where nearly all the work is.

    The rest (mean, head, long skip, tail) is fp32: that is what it takes for a faster format to be
    invisible in an 8-bit picture. On NVIDIA GPUs its convolutions may multiply in TF32, but not
    beside blocks in fp32. Vulkan devices store all of it in fp16.
    """

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"

    @property
    def bytes(self) -> int:
        """What a number takes."""
        return 4 if self is Precision.FP32 else 2


class Device(Struct, frozen=True):
    """Where a network runs.

    Attributes:
        type: "cpu", "cuda", "mps" or "vulkan".
        index: which one, where there may be several.
    """

    type: str
    index: int | None = None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


class OutOfMemoryError(Exception):
    """An engine's memory ran out; with less at once it may do."""


class NotFiniteError(Exception):
    """The rows that were to come next have infinities or NaNs in them."""


class Streamed(Protocol):
    """A network while a picture, or a part of one, runs through it; for one thread."""

    def push(self, rows: Pixels, last: bool) -> Pixels:
        """Take the next rows and give those that are finished.

        An engine may be behind by more than the network's radius, to have the next strip on its
        way to a device while it computes this one. Only the sum counts: after the last rows all
        that was wanted has been given. An error may come as late as that; it means that nothing
        was given since the last rows that were.

        Args:
            rows: (h, w, 3), h > 0, uint8 or uint16 of full range; nobody changes them before the
                next call.
            last: whether they are the last.

        Returns:
            (scale * h', scale * w', 3), h' >= 0, rounded and clamped once; of the columns that are
            wanted. The array is the caller's.

        Raises:
            OutOfMemoryError, NotFiniteError: see there. Nothing can be pushed after that.
        """

    def reset(self) -> None:
        """Let go of all rows; the last call, whatever has happened."""


class Compiled(Protocol):
    """A network on a device; for any number of threads. Weights are there once."""

    def stream(
        self, wanted: Region, dtype: np.dtype[Any], most_rows: int, *, sideways: bool
    ) -> Streamed:
        """Begin with a picture, or a part of one.

        Args:
            wanted: the region whose output is wanted, in LR pixels of what will be pushed; the
                rest is only what it depends on.
            dtype: of what comes out, uint8 or uint16.
            most_rows: rows that are worked on at once, however many are pushed or held back.
            sideways: whether the arrays are views whose columns, not rows, lie together in memory.
        """


class Engine(Protocol):
    """Computes with networks.

    Everything but `compile` may be asked before a plan is told to a user who waits for it, so
    nothing large is loaded for it where there is a way without.
    """

    def device(self, name: str) -> Device:
        """The device that a user names: see `Device.type`, or "auto" for the best.

        With ":N" it is one of several.

        Raises:
            UsageError: there is no such device here, or it does not work.
        """

    def precision(self, name: str, device: Device) -> Precision:
        """The number format that a user names: that of `Precision`, or "auto" for the fastest.

        Raises:
            UsageError: the format is unknown, or cannot be used on the device.
        """

    def warm_up(self) -> None:
        """Import what it computes with, which may take a while."""

    def describe(self, device: Device) -> str:
        """The device's name for people."""

    def speed_key(self, device: Device) -> str:
        """Everything about engine and device that their speed depends on."""

    def strip_pixels(self, device: Device) -> int:
        """Pixels in a strip with which the device is fastest."""

    def small_pixels(self, device: Device) -> int:
        """Pixels in a picture up to which it counts how soon a network is ready, not its speed."""

    def memory(self, device: Device) -> int:
        """Bytes that rows of features may take now, with a margin for everything else."""

    def memory_of(self, limit: int, device: Device) -> int:
        """Bytes that a user's limit on memory leaves for rows of features."""

    def footprint(
        self, config: NetworkConfig, scale: int, precision: Precision, ensemble: bool
    ) -> Footprint:
        """What a network costs."""

    def compile(
        self,
        weights: Checkpoint,
        scale: int,
        device: Device,
        precision: Precision,
        *,
        ensemble: bool,
        transposed: bool,
        small: bool,
    ) -> Compiled:
        """Put a network on a device.

        Args:
            weights: the network; nobody changes it.
            scale: one of its scales.
            device: where it goes.
            precision: number format of its residual blocks.
            ensemble: whether it is the mean of the eight views of the geometric self-ensemble.
            transposed: whether pictures have rows for columns.
            small: whether only pictures of at most `small_pixels` come.

        Raises:
            OutOfMemoryError: its weights do not fit.
        """

    def release(self, device: Device) -> None:
        """Give cached memory back to the device, for another try with smaller pieces."""
