"""How fast a device is, for saying beforehand how long a picture will take."""

import json
import math
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edsr_cli.errors import EdsrError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.inference.upscaler import Upscaler

_ENOUGH = 0.4  # seconds of work after which a figure is believed
_LARGEST = 1024  # pixels, the side of the largest picture that is tried
_LASTS = 7 * 86400.0  # seconds; until then drivers, torch or the machine's duties may be others
_OWN = 0.8  # processors, of the time that is measured, without which a CPU had other work to do
_MOST, _MOST_BYTES = 50, 1 << 16  # figures in a file, and what they can take


def speed_of(upscaler: Upscaler, file: Path | None) -> float:
    """Multiply-adds a second, from the file, or else measured, in about a second, and noted there.

    What a busy CPU made is not noted: it would be believed for a week.

    Args:
        upscaler: what is to be timed.
        file: where figures are kept; None for nowhere. One that cannot be read or written does no
            harm.

    Raises:
        DeviceMemoryError: not even a small picture can be upscaled.
    """
    name = _name(upscaler)
    known = {} if file is None else _read(file)
    if name in known:
        return known[name][0]
    speed, was_idle = _measure(upscaler)
    if file is not None and was_idle:
        kept = list(known.items())[-_MOST + 1 :]
        _write(file, dict(kept) | {name: (speed, time.time())})
    return speed


def _name(upscaler: Upscaler) -> str:
    """What a figure holds for."""
    config = upscaler.weights.config
    parts: tuple[Any, ...] = (
        platform.machine(),
        platform.processor(),
        upscaler.engine.speed_key(upscaler.device),
        upscaler.precision.value,
        f"{config.architecture} {config.blocks} x {config.features}, x{upscaler.scale}",
    )
    return "; ".join(map(str, parts))


def _measure(upscaler: Upscaler) -> tuple[float, bool]:
    """The speed, and whether the device had nothing else to do, as far as can be told."""
    random = np.random.default_rng(0)
    upscaler.upscale(random.integers(0, 256, (16, 16, 3), np.uint8))  # the first one is slow
    side = 32
    while True:
        pixels = random.integers(0, 256, (side, side, 3), np.uint8)
        begin, own = time.perf_counter(), time.process_time()
        upscaler.upscale(pixels)
        seconds = max(time.perf_counter() - begin, 1e-6)
        own = time.process_time() - own
        if seconds >= _ENOUGH or side >= _LARGEST:
            was_idle = upscaler.device.type != "cpu" or own >= _OWN * seconds
            return side * side * upscaler.work_per_pixel() / seconds, was_idle
        side = min(_LARGEST, side + 8 + int(side * (math.sqrt(min(16, _ENOUGH / seconds)) - 1)))


def _read(file: Path) -> dict[str, tuple[float, float]]:
    """The figures that are still good, with the times they were taken, oldest first."""
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return {}
        stored = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    found, now = {}, time.time()
    for name, values in stored.items() if isinstance(stored, dict) else ():
        with suppress(TypeError, ValueError, OverflowError):
            speed, taken = map(float, values)
            if 0 < speed < math.inf and 0 <= now - taken < _LASTS:
                found[name] = speed, taken
    return dict(sorted(found.items(), key=lambda item: item[1][1]))


def _write(file: Path, figures: dict[str, tuple[float, float]]) -> None:
    with suppress(OSError, EdsrError):  # it is measured again the next time
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file, overwrite=True) as target:
            target.write(json.dumps(figures).encode())
