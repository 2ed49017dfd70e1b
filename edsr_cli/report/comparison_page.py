"""The page of `edsr compare`: pictures in it, or in a folder beside it; compare.html.jinja."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from edsr_cli import __version__
from edsr_cli.report.comparison import Comparison, Version
from edsr_cli.report.pictures import Beside, Group, Source, bytes_in_page, encoded, write_page
from edsr_cli.report.places import COMPARISON
from edsr_cli.report.templates import render
from edsr_cli.text import duration, size


class ComparisonPage:
    """Collects what a page shows, and writes it.

    Args:
        path: the page; `COMPARISON.check` has found it good.
        command: what makes the page, for a shell.

    Attributes:
        path: the page.
    """

    def __init__(self, path: Path, command: str) -> None:
        self.path, self._command = path, command
        self._shown: list[Comparison] = []  # without pixels
        self._pictures: list[Group] = []

    @property
    def folder(self) -> Path:
        """Where pictures go that are too large for the page."""
        return Beside(self.path).folder

    @property
    def bytes(self) -> int:
        """Bytes of all pictures, as they are in pages."""
        return bytes_in_page(self._pictures)

    def add(self, comparison: Comparison) -> None:
        """Take a picture; its pixels are not needed any more.

        Raises:
            PictureError: one is too large even for PNG.
        """
        self._pictures.append([encoded(v.pixels, v.profile) for v in comparison.versions])
        emptied = [replace(v, pixels=v.pixels[:0], profile=None) for v in comparison.versions]
        self._shown.append(replace(comparison, versions=emptied))

    def write(self, most: int, *, overwrite: bool) -> bool:
        """Write the page; see `edsr_cli.report.pictures.write_page`."""
        return write_page(
            self.path, COMPARISON, self._pictures, self._pieces, most=most, overwrite=overwrite
        )

    def _pieces(self, groups: Sequence[Group], source: Source, apart: bool) -> Iterator[str]:
        names = ", ".join(dict.fromkeys(Path(each.input).name for each in self._shown))
        return render(
            "compare.html.jinja",
            styles=("page.css", "viewer.css", "compare.css"),
            scripts=("viewer.js", "compare.js"),
            more_scripts=apart,
            title=f"edsr compare: {names}",
            subjects=[
                _subject(comparison, group, source)
                for comparison, group in zip(self._shown, groups, strict=True)
            ],
            command=self._command,
            beside=self.folder.name if apart else "",
            version=__version__,
        )


def _subject(comparison: Comparison, group: Group, source: Source) -> Mapping[str, Any]:
    width, height = comparison.size
    versions = comparison.versions
    return {
        "name": comparison.name,
        "size": comparison.size,
        "input_size": (width // comparison.scale, height // comparison.scale),
        "scale": comparison.scale,
        "border": comparison.border,
        "right": next((n for n, each in enumerate(versions) if n and each.made), 1),
        "measured": versions[-1].kind == "reference",
        "versions": [
            {
                "label": version.label,
                "how": _how(version),
                "scores": cells,
                "picture": source(picture),
                "time": _in_words(version, "seconds", duration),
                "memory": _in_words(version, "memory_bytes", size),
                "bytes": len(picture.data),
                "command": version.command,
            }
            for version, picture, cells in zip(versions, group, _scores(versions), strict=True)
        ],
    }


def _how(version: Version) -> str:
    made = version.made
    if not made:
        words = {
            "bicubic": "bicubic interpolation, as MATLAB's",
            "nearest": "the input's pixels, enlarged",
            "file": "a finished picture",
            "reference": "the original",
        }
        return words[version.kind]
    how = f"{made['model']} on {made['device']} in {made['precision']}"
    if made["restore"] is None:
        return how
    return f"{how}; restored by {made['restore']:g}: {made['restore_reason']}"


def _in_words(version: Version, name: str, words: Any) -> str:
    return words(version.made[name]) if name in version.made else ""


def _scores(versions: Sequence[Version]) -> list[list[Mapping[str, Any]]]:
    """Cells of the table; the best of each column is told."""
    columns = (("psnr_y", "{:.2f} dB"), ("ssim_y", "{:.4f}"), ("psnr_rgb", "{:.2f} dB"))
    rows: list[list[Mapping[str, Any]]] = []
    for version in versions:
        cells: list[Mapping[str, Any]] = []
        for name, form in columns:
            known = [each.scores[name] for each in versions if name in each.scores]
            value = version.scores.get(name)
            absent = "" if name not in version.scores else "∞"
            cells.append(
                {
                    "text": absent if value is None else form.format(value),
                    "best": name in version.scores and _order(value) == max(map(_order, known)),
                }
            )
        rows.append(cells)
    return rows


def _order(score: float | None) -> float:
    return math.inf if score is None else score
