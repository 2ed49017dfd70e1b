"""The page of `edsr evaluate --html`: means, and every picture, the worst first."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edsr_cli import __version__
from edsr_cli.errors import EdsrError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.report.places import EVALUATION
from edsr_cli.report.templates import render


@dataclass(frozen=True)
class Mean:
    """A mean over a data set.

    Attributes:
        name: of whom.
        kind: "network", "bicubic" or "published".
        psnr: in dB; may be infinite.
        ssim: at most 1; None where it is not known.
    """

    name: str
    kind: str
    psnr: float
    ssim: float | None


@dataclass(frozen=True)
class Measured:
    """A picture that was measured, or failed.

    Attributes:
        name: of the picture.
        psnr, ssim: of the network; PSNR in dB.
        bicubic: PSNR of bicubic interpolation.
        seconds: time for upscaling it.
        error: why it failed, or "".
    """

    name: str
    psnr: float = 0.0
    ssim: float = 0.0
    bicubic: float = 0.0
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Section:
    """A data set at a scale.

    Attributes:
        title: what was measured, and how.
        channels: what PSNR and SSIM are of: "Y" or "RGB".
        means: in the order to show them in.
        pictures: in any order.
    """

    title: str
    channels: str
    means: Sequence[Mean]
    pictures: Sequence[Measured]


def write_evaluation(path: Path, sections: Sequence[Section], *, overwrite: bool) -> None:
    """Write the page; an older one is replaced.

    Args:
        path: the file; `EVALUATION.check` has found it good.
        sections: what to show.
        overwrite: whether any file may be replaced.

    Raises:
        EdsrError: it cannot be written.
    """
    replace = overwrite or EVALUATION.is_at(path)
    with atomic_write(path, overwrite=replace, error=EdsrError) as file:
        for piece in _page(sections):
            file.write(piece.encode())


def _page(sections: Sequence[Section]) -> Iterator[str]:
    return render(
        "evaluation.html.jinja",
        styles=("page.css",),
        scripts=(),
        more_scripts=False,
        title=f"edsr evaluate: {'; '.join(each.title for each in sections)}",
        sections=[_shown(each) for each in sections],
        version=__version__,
    )


def _shown(section: Section) -> Mapping[str, Any]:
    """A section with bars: all of them from one place to another, which is told."""
    done = [each for each in section.pictures if not each.error]
    figures = [each.psnr for each in section.means]
    figures += [value for each in done for value in (each.psnr, each.bicubic)]
    finite = [value for value in figures if math.isfinite(value)] or [0.0]
    least, most = math.floor(min(finite)) - 1, math.ceil(max(finite))

    def cell(value: float) -> Mapping[str, str]:
        share = 1.0 if math.isinf(value) else (value - least) / (most - least)
        text = "∞" if math.isinf(value) else f"{value:.2f}"
        return {"text": text, "percent": f"{100 * share:.1f}"}

    pictures = [
        {
            "name": each.name,
            "psnr": cell(each.psnr),
            "bicubic": cell(each.bicubic),
            "gain": f"{each.psnr - each.bicubic:+.2f}" if math.isfinite(each.psnr) else "",
            "ssim": f"{each.ssim:.4f}",
            "seconds": each.seconds,
        }
        for each in sorted(done, key=lambda each: each.psnr)
    ]
    return {
        "title": section.title,
        "channels": section.channels,
        "least": least,
        "most": most,
        "means": [
            {
                "name": each.name,
                "kind": each.kind,
                "psnr": cell(each.psnr),
                "ssim": "" if each.ssim is None else f"{each.ssim:.4f}",
            }
            for each in section.means
        ],
        "pictures": pictures,
        "failures": [each for each in section.pictures if each.error],
    }
