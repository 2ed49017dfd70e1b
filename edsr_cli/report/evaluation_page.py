"""The page of `edsr evaluate --html`: means, and every picture, the worst first."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edsr_cli import __version__
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.report.pictures import DEFAULT_MAX_EMBED, Group, Source, encoded, write_page
from edsr_cli.report.places import EVALUATION
from edsr_cli.report.sheet import most_different
from edsr_cli.report.templates import render

MOST_SEEN = 10
"""Pictures of a section that can be looked at."""

_LARGEST = 1_000_000  # pixels of a picture that is shown; of larger ones it is a part


class Mean(Struct, frozen=True):
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


class Look(Struct, frozen=True):
    """A picture to look at, or a part of it.

    Attributes:
        name: of the picture, with the part.
        border: pixels at each side that were not measured.
        labels, pictures: its versions, all of one size; the original is the last.
    """

    name: str
    border: int
    labels: Sequence[str]
    pictures: Group


class Worst:
    """Keeps what is to be seen of a section: of its `MOST_SEEN` worst pictures.

    Only these are encoded and in memory; of large ones it is the part where they are worst.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Look]] = {}

    def consider(
        self, name: str, psnr: float, border: int, versions: Mapping[str, NDArray[np.uint8]]
    ) -> None:
        """Take a picture, if it is among the worst so far.

        Args:
            name: of the picture, which no other of the section has.
            psnr: in dB.
            border: pixels at each side that were not measured.
            versions: by labels, (H, W, 3) each; before the last, the original, comes what was
                measured.

        Raises:
            PictureError: it cannot be encoded.
        """
        if len(self._kept) == MOST_SEEN:
            best = max(self._kept, key=lambda each: self._kept[each][0])
            if psnr >= self._kept[best][0]:
                return
            del self._kept[best]
        self._kept[name] = psnr, _look(name, border, versions)

    def look(self, name: str) -> Look | None:
        """What has been kept of a picture."""
        return self._kept[name][1] if name in self._kept else None


def _look(name: str, border: int, versions: Mapping[str, NDArray[np.uint8]]) -> Look:
    labels, pixels = list(versions), list(versions.values())
    height, width = pixels[0].shape[:2]
    if height * width > _LARGEST:
        compared = [Version("", "", each) for each in pixels[-2:]]
        whole = Comparison(name, name, None, (width, height), 1, border, compared)
        [part] = most_different(whole, 1, side=math.isqrt(_LARGEST))
        pixels = [each[part.top : part.bottom, part.left : part.right] for each in pixels]
        height, width = pixels[0].shape[:2]
        name, border = f"{name} {width}x{height}+{part.left}+{part.top}", 0
    return Look(name, border, labels, [encoded(np.ascontiguousarray(each)) for each in pixels])


class Measured(Struct, frozen=True):
    """A picture that was measured, or failed.

    Attributes:
        name: of the picture.
        psnr, ssim: of the network; PSNR in dB.
        bicubic: PSNR of bicubic interpolation.
        seconds: time for upscaling it.
        error: why it failed, or "".
        look: what to see of it; None for nothing.
    """

    name: str
    psnr: float = 0.0
    ssim: float = 0.0
    bicubic: float = 0.0
    seconds: float = 0.0
    error: str = ""
    look: Look | None = None


class Section(Struct, frozen=True):
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
    """Write the page, and pictures beside it that are too large for it; an older one is replaced.

    Args:
        path: the file; `EVALUATION.check` has found it good.
        sections: what to show.
        overwrite: whether any file may be replaced.

    Raises:
        EdsrError: it cannot be written.
    """
    groups = [
        each.look.pictures for section in sections for each in _worst_first(section) if each.look
    ]

    def pieces(groups: Sequence[Group], source: Source, apart: bool) -> Iterator[str]:
        pictures = iter(groups)
        return render(
            "evaluation.html.jinja",
            styles=("page.css", "viewer.css", "dialog.css", "compare.css", "evaluation.css"),
            scripts=("viewer.js", "dialog.js", "evaluation.js"),
            more_scripts=apart,
            title=f"edsr evaluate: {'; '.join(each.title for each in sections)}",
            sections=[_shown(n, each, pictures, source) for n, each in enumerate(sections)],
            shown=bool(groups),
            apart=apart,
            version=__version__,
        )

    write_page(path, EVALUATION, groups, pieces, most=DEFAULT_MAX_EMBED, overwrite=overwrite)


def _worst_first(section: Section) -> Sequence[Measured]:
    done = (each for each in section.pictures if not each.error)
    return sorted(done, key=lambda each: each.psnr)


def _shown(
    number: int, section: Section, groups: Iterator[Group], source: Source
) -> Mapping[str, Any]:
    """A section with bars: all of them from one place to another, which is told.

    Args:
        number: of the section.
        section: what it is.
        groups: gives the pictures for the next `Look`.
        source: see `write_page`.
    """
    done = _worst_first(section)
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
            "gain": f"{gain:+.2f}" if math.isfinite(gain := each.psnr - each.bicubic) else "",
            "ssim": f"{each.ssim:.4f}",
            "seconds": each.seconds,
            "subject": each.look
            and _subject(f"picture-{number}-{place}", each.look, next(groups), source),
        }
        for place, each in enumerate(done)
    ]
    seen = [each.look for each in done if each.look]
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
        "looked": _looked(len(seen), len(done)),
        "failures": [each for each in section.pictures if each.error],
    }


def _looked(seen: int, done: int) -> str:
    if not seen:
        return ""
    which = "All" if seen == done else f"The {seen} worst"
    return f"{which} can be compared with bicubic interpolation and the original."


def _subject(identity: str, look: Look, pictures: Group, source: Source) -> Mapping[str, Any]:
    """What versions.html.jinja shows."""
    height, width = pictures[0].shape[:2]
    return {
        "id": identity,
        "name": look.name,
        "size": (width, height),
        "border": look.border,
        "versions": [
            {"label": label, "picture": source(picture)}
            for label, picture in zip(look.labels, pictures, strict=True)
        ],
    }
