"""The models as a table: for `edsr models`, and for the Markdown files that show it.

Imports no torch, and looks at cached files' headers only, so that the list is there at once.
"""

from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.registry import ModelRow, Psnr
from edsr_cli.checkpoints.store.cache import seems_cached

BEGIN, END = "<!-- models-table -->", "<!-- /models-table -->"
"""What the table stands between in a Markdown file."""

_BUNDLED = "bundled"


class Listed(Struct, frozen=True):
    """A model in the table: all rows of one name.

    Attributes:
        name: what the user calls it.
        rows: its rows, by scale.
        here: for each scale, the file's path if it is on this machine, "bundled", or "".
    """

    name: str
    rows: tuple[ModelRow, ...]
    here: dict[int, str]

    @property
    def scales(self) -> str:
        """Such as "2, 3, 4"."""
        return ", ".join(map(str, self.here))

    @property
    def size(self) -> str:
        """Megabytes of a file, or from those of the smallest to those of the largest."""
        sizes = sorted(row.size / 1e6 for row in self.rows)
        texts = dict.fromkeys(f"{size:.1f}" if size < 100 else f"{size:.0f}" for size in sizes)
        ends = list(texts)
        return f"{ends[0]} MB" if len(ends) == 1 else f"{ends[0]}-{ends[-1]} MB"

    @property
    def licence(self) -> str:
        """The licences of its rows, which are usually one."""
        return ", ".join(dict.fromkeys(row.licence for row in self.rows))

    @property
    def origin(self) -> str:
        """Who made it."""
        return "; ".join(dict.fromkeys(row.origin for row in self.rows))

    @property
    def cached(self) -> str:
        """Which scales are on this machine: "bundled", "x2 x4" or "no"."""
        if set(self.here.values()) == {_BUNDLED}:
            return _BUNDLED
        return " ".join(f"x{scale}" for scale, path in self.here.items() if path) or "no"

    @property
    def psnr(self) -> str:
        """PSNR on the model's first data set at each of its scales, and what it is by."""
        figures = [each for row in self.rows for each in row.psnr]
        if not figures:
            return ""
        first = figures[0]
        chosen = [
            each
            for each in figures
            if (each.dataset, each.channel) == (first.dataset, first.channel)
        ]
        values = " / ".join(_decibels(each) for each in sorted(chosen, key=lambda each: each.scale))
        by = first.source.split(";")[0] if first.published is not None else "measured"
        return f"{values} ({first.dataset} {first.channel}, {by})"

    def to_dicts(self) -> list[dict[str, Any]]:
        """JSON-ready values of each row, with everything that the registry knows of it."""
        return [
            {
                "name": row.name,
                "scales": list(row.scales),
                "here": self.here[row.scales[0]] or None,
                "bytes": row.size,
                "parameters": row.parameters,
                "architecture": row.architecture,
                "blocks": row.blocks,
                "features": row.features,
                "licence": row.licence,
                "origin": row.origin,
                "psnr": [asdict(each) for each in row.psnr],
                "sources": [_known(asdict(each) | {"place": each.place}) for each in row.sources],
                "unverified": list(row.unverified),
            }
            for row in self.rows
        ]


def listing(folder: Path | None) -> list[Listed]:
    """Every model of the registry.

    Args:
        folder: the cache folder to look into; None not to look.

    Raises:
        WeightsError: the registry is missing or damaged.
    """
    found = []
    for name in registry.names():
        rows = tuple(row for row in registry.rows() if row.name == name)
        here = {scale: _here(row, folder) for row in rows for scale in row.scales}
        found.append(Listed(name, rows, dict(sorted(here.items()))))
    return found


def markdown_table() -> str:
    """The table as Markdown, with its markers, as it stands in README.md and weights/README.md."""
    lines = [
        "| model | scales | download | licence of the weights | PSNR in dB | made by |",
        "|---|---|---|---|---|---|",
    ]
    for each in listing(None):
        size = "included" if each.rows[0].bundled else each.size
        cells = (f"`{each.name}`", each.scales, size, each.licence, each.psnr, each.origin)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join((BEGIN, *lines, END))


def _here(row: ModelRow, folder: Path | None) -> str:
    if row.bundled is not None:
        return _BUNDLED
    path = None if folder is None else seems_cached(row, folder)
    return str(path or "")


def _decibels(figure: Psnr) -> str:
    value = figure.published if figure.published is not None else figure.measured
    return "?" if value is None else f"{value:.2f}"


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty, because it is not known or does not apply."""
    return {key: value for key, value in values.items() if value not in ("", None, ())}
