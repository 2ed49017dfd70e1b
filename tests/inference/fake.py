"""An engine of NumPy alone: the mean of what is around a pixel, repeated.

It has a receptive field, zeros outside the picture, a strip's delay and memory that runs out, as a
real engine has, and arithmetic that is exact.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edsr_cli.checkpoints.checkpoint import Checkpoint
from edsr_cli.inference.engine import Device, NotFiniteError, OutOfMemoryError, Precision
from edsr_cli.inference.planning import Footprint
from edsr_cli.model.config import NetworkConfig
from edsr_cli.pixels.windows import Region

CONFIG = NetworkConfig("edsr", (2,), 1, 1)
SCALE = 2
WEIGHTS = Checkpoint(CONFIG, {})


def blurred(pixels: np.ndarray, radius: int, dtype: Any = np.uint8) -> np.ndarray:
    """What the engine makes of a whole picture."""
    levels = {1: 1, 2: 257}
    x = pixels.astype(np.int64) * (257 // levels[pixels.dtype.itemsize])  # of 16 bits
    height, width, _ = x.shape
    padded = np.pad(x, [(radius, radius), (radius, radius), (0, 0)])
    side = range(2 * radius + 1)
    total = sum(padded[dy : dy + height, dx : dx + width] for dy in side for dx in side)
    mean = total // ((2 * radius + 1) ** 2 * (257 // levels[np.dtype(dtype).itemsize]))
    return mean.astype(dtype).repeat(SCALE, 0).repeat(SCALE, 1)


@dataclass
class FakeEngine:
    """The engine.

    Attributes:
        radius: how far it looks.
        late: strips that it is behind.
        pixels: the most that it has memory for at once.
        overflows: the brightest pixel that it can do in another format than fp32; -1 for none in
            any format.
        weights: compiled forms that it has memory for.
        small: pixels of a picture that it calls small.
        free: bytes that it says are free.
        released, compiled, pushed, alive: calls of `release`; forms that were made; sizes of
            strips; streams not yet reset.
    """

    radius: int = 2
    late: int = 0
    pixels: int = 1 << 40
    overflows: int = 1 << 20
    weights: int = 1 << 20
    small: int = 0
    free: int = 1 << 40
    released: int = 0
    compiled: list[tuple[Precision, bool, bool, bool]] = field(default_factory=list)
    pushed: list[tuple[int, int]] = field(default_factory=list)
    alive: int = 0

    def device(self, name: str) -> Device:
        return Device("cpu")

    def precision(self, name: str, device: Device) -> Precision:
        return Precision("fp32" if name == "auto" else name)

    def warm_up(self) -> None:
        pass

    def describe(self, device: Device) -> str:
        return "an abacus"

    def speed_key(self, device: Device) -> str:
        return "abacus 1"

    def strip_pixels(self, device: Device) -> int:
        return 1

    def small_pixels(self, device: Device) -> int:
        return self.small

    def memory(self, device: Device) -> int:
        return self.free

    def memory_of(self, limit: int, device: Device) -> int:
        return limit

    def footprint(
        self, config: NetworkConfig, scale: int, precision: Precision, ensemble: bool
    ) -> Footprint:
        return Footprint(self.radius, held_bytes=100, work_bytes=10, multiply_adds=7)

    def compile(
        self, weights: Checkpoint, scale: int, device: Device, precision: Precision, *,
        ensemble: bool, transposed: bool, small: bool,
    ) -> "FakeNetwork":  # fmt: skip
        if len(self.compiled) >= self.weights:
            raise OutOfMemoryError("weights")
        self.compiled.append((precision, ensemble, transposed, small))
        return FakeNetwork(self, precision)

    def release(self, device: Device) -> None:
        assert self.alive == 0
        self.released += 1


@dataclass
class FakeNetwork:
    engine: FakeEngine
    precision: Precision

    def stream(
        self, wanted: Region, dtype: np.dtype[Any], most_rows: int, *, sideways: bool
    ) -> "FakeStream":
        self.engine.alive += 1
        return FakeStream(self, wanted, dtype, most_rows, sideways)


@dataclass
class FakeStream:
    network: FakeNetwork
    wanted: Region
    dtype: np.dtype[Any]
    most_rows: int
    sideways: bool
    seen: list[np.ndarray] = field(default_factory=list)
    given: int = 0
    strips: int = 0

    def push(self, rows: np.ndarray, last: bool) -> np.ndarray:
        engine = self.network.engine
        assert 0 < len(rows) <= self.most_rows
        if not self.sideways and rows.shape[1] > 1:
            assert abs(rows.strides[1]) < abs(rows.strides[0])
        engine.pushed.append(rows.shape[:2])
        if rows.shape[0] * rows.shape[1] > engine.pixels:
            raise OutOfMemoryError("pixels")
        exact = self.network.precision is Precision.FP32 and engine.overflows >= 0
        if rows.max() > engine.overflows and not exact:
            raise NotFiniteError
        self.seen.append(rows)
        self.strips += 1
        behind = [len(each) for each in self.seen[max(0, self.strips - engine.late) :]]
        ready = sum(len(each) for each in self.seen) - engine.radius - sum(behind)
        end = self.wanted.bottom if last else min(self.wanted.bottom, ready)
        begin, self.given = max(self.wanted.top, self.given), max(self.given, end)
        columns = slice(self.wanted.left * SCALE, self.wanted.right * SCALE)
        made = blurred(np.concatenate(self.seen), engine.radius, self.dtype)
        return made[begin * SCALE : max(begin, end) * SCALE, columns]

    def reset(self) -> None:
        self.network.engine.alive -= 1
