"""Records, summaries and readers for tests of reports."""

from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edsr_cli.errors import Kind
from edsr_cli.folders.summary import Summary
from edsr_cli.jobs.record import Record, Status
from edsr_cli.report import About, Report

ABOUT = About((Path("in"),), (Path("in_x4"),), {"model": "edsr-free", "scale": "x4"})


def done(name: str, folder: Path = Path(), **fields: Any) -> Record:
    """The record of a picture that was done."""
    values: dict[str, Any] = {
        "model": "edsr-free",
        "input_size": (60, 40),
        "output_size": (240, 160),
        "input_bytes": 5_000,
        "output_bytes": 60_000,
        "seconds": 1.5,
        "stages": {"decode": 0.1, "upscale": 1.2, "encode": 0.2},
    }
    output = str(folder / "in_x4" / Path(name).with_suffix(".png"))
    return Record(str(folder / "in" / name), output, Status.DONE, **(values | fields))


def failed(
    name: str, kind: Kind = Kind.UNREADABLE, reason: str = "it is broken. Mend it."
) -> Record:
    """The record of a picture that could not be done."""
    return Record(name, "", Status.FAILED, kind, f"{name}: {reason}")


def skipped(name: str, kind: Kind = Kind.COMPLETE) -> Record:
    """The record of a picture that was done before."""
    return Record(name, f"{name}.png", Status.SKIPPED, kind, f"{name}.png: it is up to date.")


def make_pictures(record: Record, scale: int = 4) -> Record:
    """Write the two pictures that a record is about: blocks of colours, and the same enlarged.

    There is more and more contrast from top to bottom.
    """
    assert record.input_size is not None
    width, height = record.input_size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    pixels = (noise // 8 * 8 * np.linspace(0.2, 1, height)[:, None, None]).astype(np.uint8)
    for path, factor in ((record.input, 1), (record.output, scale)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.repeat(factor, 0).repeat(factor, 1)).save(path)
    return record


def write_report(path: Path, records: Iterable[Record], about: About = ABOUT, **fields: Any) -> str:
    """Have a report written as a run does it; returns what is in it."""
    summary = Summary(seconds=100.0, **fields)
    with Report(path, about) as report:
        for record in records:
            summary.add(record)
            report.ended(record)
        report.finished(summary)
    return path.read_text("utf-8")


class Page(HTMLParser):
    """What is in a page; fails if its tags are not balanced."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]
