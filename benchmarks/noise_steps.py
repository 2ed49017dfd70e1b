"""From which noise on a stronger network is better: python -m benchmarks.noise_steps FOLDER -o FILE

FOLDER holds photographs without damage. A crop of each is made smaller by MATLAB's bicubic rule,
gets noise of several levels, and is enlarged at five strengths; what counts is PSNR of luma over
that of bicubic interpolation. Noise and detail are measured as `--restore auto` does. Printed are,
for several powers of detail, the steps for `choice.THRESHOLDS` with which the choice by
level * (usual detail / detail) ** power gains most in the mean of all crops and levels; beside
that, what a fixed strength for each level, and the best strength of each crop, would gain. FILE
keeps the gains; with --gains, they are taken again and no network is run.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.restore import crop, gains, networks, noisy, photographs, window
from edsr_cli.pixels import resize
from edsr_cli.pixels.windows import ArrayWindow
from edsr_cli.restoration.noise import USUAL_DETAIL, noise_of
from edsr_cli.restoration.sampling import pieces

LEVELS = (0, 1, 2, 3, 4, 6, 10)
POWERS = (0.0, 0.25, 0.35, 0.5, 0.75)
_STEPS = np.arange(0.8, 4.5, 0.1)
Floats = NDArray[np.float64]


def measure(paths: Sequence[Path], scale: int, inner: int) -> Iterator[dict[str, Any]]:
    """What the strengths gain on every crop with every noise."""
    upscalers = networks(scale, "cpu", "fp32")
    for number, path in enumerate(paths):
        hr = crop(path, 512, scale)
        lr, part = resize.downscale(hr, scale), window(hr, inner, scale)
        for level in LEVELS:
            rng = np.random.default_rng(number)
            damaged = noisy(lr, level, rng) if level else lr
            found = noise_of(pieces(ArrayWindow(damaged)))
            yield {
                "picture": path.name,
                "noise": level,
                "level": found.level,
                "detail": found.detail,
                "gains": gains(part, window(damaged, inner), upscalers, scale),
            }
        print(f"x{scale} {path.name}", flush=True)


def best_steps(effective: Floats, gained: Floats) -> tuple[float, list[float]]:
    """The mean gain with the best four steps, and these.

    Args:
        effective: how strong the noise of each picture is, (N,).
        gained: what each strength gains, (N, 5).
    """
    order = np.argsort(effective)
    # What the first pictures gain in all with each strength, so a step costs two differences.
    sums = np.concatenate([np.zeros((1, gained.shape[1])), np.cumsum(gained[order], axis=0)])
    places = np.searchsorted(effective[order], _STEPS)
    parts = -np.diff(sums[places], axis=1)  # what raising the step from the lower strength saves
    found = max(
        combinations_with_replacement(range(len(_STEPS)), gained.shape[1] - 1),
        key=lambda steps: sum(parts[step, strength] for strength, step in enumerate(steps)),
    )
    total = sums[-1, -1] + sum(parts[step, strength] for strength, step in enumerate(found))
    return float(total / len(effective)), [round(float(_STEPS[step]), 1) for step in found]


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Print the steps for every power of detail."""
    level, detail, noise = (
        np.array([row[key] for row in rows]) for key in ("level", "detail", "noise")
    )
    gained = np.array([row["gains"] for row in rows])
    fixed = np.mean([gained[noise == each].mean(axis=0).max() for each in np.unique(noise)])
    print(f"usual detail (median): {np.median(detail):.2f}")
    print(f"the best fixed strength of each level: {fixed:.3f} dB")
    for power in POWERS:
        gain, steps = best_steps(level * (USUAL_DETAIL / detail) ** power, gained)
        print(f"detail to the power of {power}: {gain:.3f} dB with {steps}")
    print(f"the best strength of each crop: {gained.max(axis=1).mean():.3f} dB")


def main() -> None:
    """Measure, or read what was measured, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", help="photographs; none with --gains")
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    parser.add_argument("--gains", type=Path, help="JSON of before")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--count", type=int, default=60, help="pictures")
    parser.add_argument("--window", type=int, default=64, help="what is enlarged, in LR pixels")
    options = parser.parse_args()
    if options.gains:
        rows = json.loads(options.gains.read_text("utf-8"))
    else:
        paths = photographs(options.folders, options.count, 0)
        rows = list(measure(paths, options.scale, options.window))
    report(rows)
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
