"""What --restore gains and loses: python benchmarks/restore.py FOLDER [FOLDER ...] -o restore.json

FOLDERs hold photographs without damage. A crop of each is made smaller by MATLAB's bicubic rule
and damaged (JPEG, WebP, AVIF, noise); a window of that is enlarged at five strengths, while `auto`
sees the whole file. What counts is PSNR of luma over that of bicubic interpolation. Printed are the
means for each kind of damage, beside what `auto` chooses, as Markdown; what `auto` loses against
the best of the five strengths, in the mean of a kind and picture by picture; and the qualities at
which neighbouring strengths gain alike (for noise see noise_steps.py). The JSON file has it all;
with --gains, its gains are taken again and no network is run, so that thresholds can be tried.
"""

import argparse
import io
import json
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edsr_cli.checkpoints.loader import load_network
from edsr_cli.checkpoints.mixing import mixed
from edsr_cli.evaluation.metrics import Channels, psnr
from edsr_cli.images import READ_SUFFIXES, decode
from edsr_cli.inference import Upscaler
from edsr_cli.pixels import resize
from edsr_cli.pixels.depth import to_uint8
from edsr_cli.restoration.choice import STRENGTHS, choose

JPEG_QUALITIES = (95, 90, 80, 70, 50, 30)
_NOISES = ("noise:2", "noise:5", "noise:10")
Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Kind:
    """A kind of damage.

    Attributes:
        name: what it is called in tables.
        like: the kind that has the same pixels, if it differs only in what the file says or in
            where the picture begins; empty for none.
        make: gives a file from a picture and a generator of random numbers.
    """

    name: str
    like: str
    make: Callable[[Image8, np.random.Generator], bytes]


@dataclass(frozen=True)
class Line:
    """What came out for a kind of damage, in dB over bicubic interpolation.

    Attributes:
        kind: its name.
        fixed: means over the pictures, by strength.
        auto: the mean with what `auto` chooses.
        loss, worst: the mean, and the largest, of what `auto` loses in a picture against the best
            strength for that picture.
        strength: the mean of what it chooses.
    """

    kind: str
    fixed: tuple[float, ...]
    auto: float
    loss: float
    worst: float
    strength: float


def saved(pixels: Image8, format_name: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format_name, **options)
    return file.getvalue()


def pixels_of(content: bytes) -> Image8:
    """The pixels of a file."""
    return to_uint8(decode(content).pixels)


def noisy(pixels: Image8, sigma: float, rng: np.random.Generator, grey: bool = False) -> Image8:
    """White noise, in each colour by itself, or in all alike."""
    shape = (*pixels.shape[:2], 1) if grey else pixels.shape
    return np.clip(np.rint(pixels + rng.normal(0, sigma, shape)), 0, 255).astype(np.uint8)


def kinds() -> Iterator[Kind]:
    """All kinds of damage, those of issue and README first."""
    yield Kind("clean", "", lambda lr, rng: saved(lr))
    for quality in JPEG_QUALITIES:
        yield Kind(f"jpeg:{quality}", "", _compressed("JPEG", quality, subsampling=2))
    for sigma in (2, 5, 10):
        yield Kind(f"noise:{sigma}", "", _noisy(sigma))
    yield Kind("grey:5", "", lambda lr, rng: saved(noisy(lr, 5, rng, grey=True)))
    yield Kind("noise:5 jpeg:90", "", _noisy_and_compressed(5, 90))
    for quality in (95, 85, 75, 50):
        yield Kind(f"webp:{quality}", "", _compressed("WEBP", quality))
    for quality in (90, 80, 60, 40):
        yield Kind(f"avif:{quality}", "", _compressed("AVIF", quality))
    for quality in JPEG_QUALITIES:  # what these files no longer say
        again = _compressed("JPEG", quality, subsampling=2)
        yield Kind(f"jpeg:{quality} as png", f"jpeg:{quality}", _resaved(again))
        yield Kind(f"jpeg:{quality} cropped", f"jpeg:{quality}", _resaved(again, 3, 5))


def _compressed(
    format_name: str, quality: int, **options: Any
) -> Callable[[Image8, np.random.Generator], bytes]:
    return lambda lr, rng: saved(lr, format_name, quality=quality, **options)


def _noisy(sigma: float) -> Callable[[Image8, np.random.Generator], bytes]:
    return lambda lr, rng: saved(noisy(lr, sigma, rng))


def _noisy_and_compressed(
    sigma: float, quality: int
) -> Callable[[Image8, np.random.Generator], bytes]:
    return lambda lr, rng: saved(noisy(lr, sigma, rng), "JPEG", quality=quality, subsampling=2)


def _resaved(
    make: Callable[[Image8, np.random.Generator], bytes], top: int = 0, left: int = 0
) -> Callable[[Image8, np.random.Generator], bytes]:
    return lambda lr, rng: saved(pixels_of(make(lr, rng))[top:, left:])


def photographs(folders: Sequence[Path], count: int, seed: int) -> list[Path]:
    """As many pictures of each folder, the same every time."""
    chosen = []
    for folder in folders:
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in READ_SUFFIXES)
        random.Random(seed).shuffle(files)
        chosen += files[: max(1, count // len(folders))]
    return chosen


def crop(path: Path, side: int, scale: int) -> Image8:
    """The middle of a picture, of a multiple of the scale."""
    pixels = to_uint8(decode(path).pixels)
    height, width = (min(side, size) // scale * scale for size in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def networks(scale: int, device: str, precision: str) -> list[Upscaler]:
    """One for each strength."""
    plain, restoring = (
        load_network(name, scale).checkpoint for name in ("edsr-free", "edsr-photo")
    )
    found = (mixed(plain, restoring, strength) for strength in STRENGTHS)
    return [Upscaler(each, scale, device, precision) for each in found]


def window(pixels: Image8, side: int, scale: int = 1) -> Image8:
    """About the middle of an LR picture, or of HR; it begins with a block of JPEG."""
    rows, columns = (
        slice(begin * scale, (begin + side) * scale)
        for begin in (max(0, (size // scale - side) // 2) // 8 * 8 for size in pixels.shape[:2])
    )
    return np.ascontiguousarray(pixels[rows, columns])


def gains(hr: Image8, lr: Image8, upscalers: Sequence[Upscaler], scale: int) -> list[float]:
    """Decibels of luma over bicubic interpolation, by strength."""

    def measured(sr: Image8) -> float:
        return psnr(sr, hr, border=scale, channels=Channels.Y)

    simple = measured(resize.upscale(lr, scale))
    results = (to_uint8(each.upscale(lr, dtype="uint8").pixels) for each in upscalers)
    return [round(measured(sr) - simple, 4) for sr in results]


def measure(
    paths: Sequence[Path],
    scale: int,
    side: int,
    inner: int,
    upscalers: Sequence[Upscaler],
    only: Sequence[str],
) -> dict[str, dict[str, list[float]]]:
    """Gains by kind and picture."""
    found: dict[str, dict[str, list[float]]] = {}
    for path in paths:
        hr = crop(path, side, scale)
        lr, part = resize.downscale(hr, scale), window(hr, inner, scale)
        for kind in kinds():
            if not kind.like and kind.name.startswith(("clean", *only)):
                damaged = window(pixels_of(kind.make(lr, np.random.default_rng(0))), inner)
                found.setdefault(kind.name, {})[str(path)] = gains(part, damaged, upscalers, scale)
        print(f"x{scale} {path.name}", flush=True)
    return found


def choices(
    paths: Sequence[Path], scale: int, side: int, wanted: Collection[str]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """What `auto` chooses by kind and picture, and the mean quality that files of a kind state."""
    found: dict[str, dict[str, float]] = {}
    stated: dict[str, list[int]] = {}
    for path in paths:
        lr = resize.downscale(crop(path, side, scale), scale)
        for kind in kinds():
            if (kind.like or kind.name) not in wanted:
                continue
            picture = decode(kind.make(lr, np.random.default_rng(0)))
            choice = choose(picture.window, scale, picture.compression)
            found.setdefault(kind.name, {})[str(path)] = choice.strength
            if picture.compression is not None:
                stated.setdefault(kind.name, []).append(picture.compression.quality)
    return found, {kind: float(np.mean(qualities)) for kind, qualities in stated.items()}


def compare(
    gained: dict[str, dict[str, list[float]]], chosen: dict[str, dict[str, float]]
) -> list[Line]:
    """The lines of a table."""
    lines = []
    for kind in kinds():
        if kind.name not in chosen:
            continue
        of_kind, strengths = gained[kind.like or kind.name], chosen[kind.name]
        values = np.array([of_kind[path] for path in strengths])
        auto = np.array([of_kind[path][STRENGTHS.index(each)] for path, each in strengths.items()])
        lines.append(
            Line(
                kind.name,
                tuple(values.mean(axis=0)),
                float(auto.mean()),
                float((values.max(axis=1) - auto).mean()),
                float((values.max(axis=1) - auto).max()),
                float(np.mean(list(strengths.values()))),
            )
        )
    return lines


def markdown(scale: str, lines: Sequence[Line]) -> Iterator[str]:
    """The table of a scale."""
    yield f"| {scale} | {' | '.join(f'{each:g}' for each in STRENGTHS)} | auto | chosen | loss |"
    yield "|---" * (len(STRENGTHS) + 4) + "|"
    for line in lines:
        best = max(line.fixed)
        cells = (f"**{each:.2f}**" if each == best else f"{each:.2f}" for each in line.fixed)
        yield (
            f"| {line.kind} | {' | '.join(cells)} | {line.auto:.2f} | {line.strength:.2f} "
            f"| {best - line.auto:.3f} |"
        )


def thresholds(
    gained: dict[str, dict[str, list[float]]], kind: str, stated: dict[str, float]
) -> list[float]:
    """Where each strength becomes better than the one below it, for `choice.THRESHOLDS`.

    Args:
        gained: gains by kind and picture.
        kind: "jpeg", "webp" or "avif", from above.
        stated: the mean quality that files state, by kind.
    """
    points = [(100.0, gained["clean"])] + [
        (stated.get(name, float(name.partition(":")[2])), values)
        for name, values in gained.items()
        if name.startswith(f"{kind}:") and " " not in name
    ]
    means = [(place, np.mean(list(values.values()), axis=0)) for place, values in points]
    found = []
    for index in range(1, len(STRENGTHS)):
        better = [(place, float(mean[index] - mean[index - 1])) for place, mean in means]
        found.append(_crossing(better))
    return [round(each, 1) for each in found]


def _crossing(better: Sequence[tuple[float, float]]) -> float:
    """Where a curve comes to be above 0; beyond the last point if it never does."""
    for (place, low), (following, high) in pairwise(better):
        if low < 0 <= high:
            return place + (following - place) * low / (low - high)
    return better[0][0] if better[0][1] >= 0 else 2 * better[-1][0] - better[-2][0]


def report(gained: dict[str, Any], chosen: dict[str, Any], stated: dict[str, Any]) -> None:
    """Print everything."""
    for scale, of_scale in gained.items():
        lines = compare(of_scale, chosen[scale])
        print("\n".join(markdown(scale, lines)))
        losses = [max(line.fixed) - line.auto for line in lines]
        print(
            f"\nauto against the best fixed strength of a kind: {np.mean(losses):.3f} dB less "
            f"in the mean, {max(losses):.3f} at worst; against the best of each picture "
            f"{np.mean([line.loss for line in lines]):.3f} and "
            f"{max(line.worst for line in lines):.3f} dB.\n"
        )
        for kind in ("jpeg", "webp", "avif"):
            if any(name.startswith(kind) for name in of_scale):
                steps = thresholds(of_scale, kind, stated[scale])
                print(f"thresholds by {kind}, {scale}: {steps}")
        print()


def plot(gained: dict[str, Any], chosen: dict[str, Any], path: Path) -> None:
    """Draw what `edsr-free`, `edsr-photo` and `auto` gain: JPEG above, noise below, by scale."""
    from matplotlib.figure import Figure

    scales = sorted(gained)
    figure = Figure(figsize=(4 * len(scales), 7), layout="constrained")
    axes = figure.subplots(2, len(scales), squeeze=False, sharey="row")
    for column, scale in enumerate(scales):
        lines = {line.kind: line for line in compare(gained[scale], chosen[scale])}
        for row, (codec, kinds_of) in enumerate(
            (("JPEG quality", [f"jpeg:{q}" for q in JPEG_QUALITIES]), ("noise", _NOISES))
        ):
            known = [lines[kind] for kind in ("clean", *kinds_of) if kind in lines]
            names = [line.kind.rpartition(":")[2] for line in known]
            for label, values in (
                ("edsr-free (--restore 0)", [line.fixed[0] for line in known]),
                ("edsr-photo (--restore 1)", [line.fixed[-1] for line in known]),
                ("auto", [line.auto for line in known]),
            ):
                axes[row][column].plot(names, values, ".-", label=label)
            axes[row][column].axhline(0, color="black", linewidth=0.8)
            axes[row][column].set_xlabel(codec)
            axes[row][column].grid(alpha=0.3)
        axes[0][column].set_title(scale)
    for row in axes:
        row[0].set_ylabel("dB of luma over bicubic interpolation")
    axes[0][0].legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})


def main() -> None:
    """Measure, choose, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", help="photographs; none with --gains")
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    parser.add_argument("--plot", type=Path, help="PNG to draw (needs matplotlib)")
    parser.add_argument("--gains", type=Path, nargs="+", help="JSON of before, to choose anew")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--count", type=int, default=40, help="pictures, of all folders together")
    parser.add_argument("--side", type=int, default=512, help="of the crops, in HR pixels")
    parser.add_argument("--window", type=int, default=64, help="what is enlarged, in LR pixels")
    parser.add_argument("--only", nargs="+", default=[""], help="kinds that begin with these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", help="bf16 differs by 0.0001 dB in means")
    options = parser.parse_args()
    gained: dict[str, dict[str, dict[str, list[float]]]] = {}
    side = options.side
    if options.gains:
        for file in options.gains:
            known = json.loads(file.read_text("utf-8"))
            side = known["side"]
            for scale, of_scale in known["gains"].items():
                gained.setdefault(scale, {}).update(of_scale)
    else:
        paths = photographs(options.folders, options.count, options.seed)
        for scale in options.scales:
            gained[f"x{scale}"] = measure(
                paths,
                scale,
                side,
                options.window,
                networks(scale, options.device, options.precision),
                options.only,
            )
    chosen, stated = {}, {}
    for scale, of_scale in gained.items():
        paths = [Path(each) for each in of_scale["clean"]]
        chosen[scale], stated[scale] = choices(paths, int(scale[1:]), side, of_scale)
    report(gained, chosen, stated)
    if options.plot:
        plot(gained, chosen, options.plot)
    if options.output:
        content = {"side": side, "gains": gained, "auto": chosen}
        options.output.write_text(json.dumps(content, indent=1), "utf-8")


if __name__ == "__main__":
    main()
