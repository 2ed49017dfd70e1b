"""The report as a page of HTML that needs nothing but itself; the markup is page.html.jinja."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edsr_cli.folders.summary import Summary
from edsr_cli.jobs.record import FAILED, SKIPPED, Status
from edsr_cli.report.records import About, RecordFile
from edsr_cli.report.templates import render
from edsr_cli.stores.addresses import is_address
from edsr_cli.text import duration, one_line, significant

if TYPE_CHECKING:
    from edsr_cli.jobs.record import Record
    from edsr_cli.report.previews import Preview

UNFOLDED = 50
"""Failures of a kind that are shown at once; the others are there too, but folded up."""

LISTED = 10_000
"""Files in the list of all files: a page of some 3 MB, which a browser opens within a second."""

STOPPED = {
    "interrupted": "It was stopped before the end.",
    "failure": "It ended at the first failure, as --fail-fast asks for.",
    "disk-full": "It ended because the disk was full.",
    "manifest": "It ended because the manifest could not be written.",
}
"""A sentence for each value of `Summary.stopped`."""


def page(
    about: About,
    summary: Summary,
    records: RecordFile,
    previews: Sequence["Preview"],
    folder: Path,
) -> Iterator[str]:
    """The page, piece by piece.

    Every name is shown in one line without control characters, and escaped. Nothing is loaded
    from anywhere; the page even forbids itself to.

    Args:
        about: what was asked for.
        summary: what it came to.
        records: of all files.
        previews: of some of the pictures that are done.
        folder: where the page is going to be, for links to the outputs.
    """
    names = ", ".join(Path(path).name or str(path) for path in about.inputs)
    return render(
        "page.html.jinja",
        styles=("page.css", "viewer.css", "dialog.css", "batch.css"),
        scripts=("viewer.js", "dialog.js", "batch.js"),
        more_scripts=False,
        title=f"edsr batch: {names}",
        badge=_badge(summary),
        ways=[(str(a), str(b)) for a, b in zip(about.inputs, about.outputs, strict=True)],
        summary=summary,
        watching=about.watching,
        stopped=_why_stopped(summary),
        tiles=_tiles(summary),
        failures=_failures(summary, records),
        previews=previews,
        shown_output=lambda record: _shown_output(record, about.outputs, folder),
        stages=_stages(summary),
        busy=f"{summary.load.busy_share:.0%}",
        settings={**about.settings, "version": about.version}.items(),
        others=_others(summary),
        listed=min(LISTED, summary.ended),
        why=_why,
        first_files=islice(records, LISTED),
        version=about.version,
    )


def _badge(summary: Summary) -> Mapping[str, str]:
    if summary.failed:
        return {"look": "bad", "words": f"{summary.failed:,} failed"}
    if summary.stopped is not None:
        return {"look": "warn", "words": "stopped"}
    return {"look": "good", "words": "nothing failed"}


def _why_stopped(summary: Summary) -> str:
    if summary.stopped is None:
        return ""
    return STOPPED.get(summary.stopped, f"It ended early: {summary.stopped}.")


def _tiles(summary: Summary) -> Iterator[Mapping[str, str]]:
    """The figures at the top."""

    def tile(name: str, value: str, look: str = "") -> Mapping[str, str]:
        return {"name": name, "value": value, "look": look}

    yield tile("done", f"{summary.done:,}")
    if summary.planned:
        yield tile("to do", f"{summary.planned:,}")
    yield tile("failed", f"{summary.failed:,}", "bad" if summary.failed else "")
    yield tile("skipped", f"{summary.skipped:,}")
    yield tile("time", duration(summary.seconds))
    if summary.done and summary.seconds:
        yield tile("pictures a minute", significant(60 * summary.done / summary.seconds))
        yield tile("megapixels a second", significant(summary.megapixels_per_second))


def _failures(summary: Summary, records: RecordFile) -> Iterator[Mapping[str, Any]]:
    """The failures of each kind, the most frequent kind first; those of one are read at a time."""
    if not summary.failed:
        return
    failed = Status.FAILED.value
    counts = Counter(record["kind"] for record in records if record["status"] == failed)
    for kind, count in counts.most_common():
        same = (
            {"input": item["input"], "reason": _reason(item)}
            for item in records
            if item["status"] == failed and item["kind"] == kind
        )
        yield {
            "heading": _heading(FAILED[kind]),
            "count": count,
            "first": islice(same, UNFOLDED),
            "folded": max(0, count - UNFOLDED),
            "rest": same,
        }


def _reason(record: Mapping[str, Any]) -> str:
    """Why a file failed, without its name, which stands before it already."""
    return _heading(one_line(record["reason"]).removeprefix(f"{one_line(record['input'])}: "))


def _why(record: Mapping[str, Any]) -> str:
    """What kind of reason there is for a file's state; "" for none."""
    kind = record["kind"]
    return (FAILED | SKIPPED).get(kind, kind) if kind else ""


def _heading(words: str) -> str:
    return words[:1].upper() + words[1:]


def _shown_output(
    record: "Record", outputs: Sequence[Path | str], folder: Path
) -> Mapping[str, str]:
    """What an output is called, and where it is, as long as page and file are moved together."""
    output = Path(record.output)
    names = [output.relative_to(root) for root in outputs if output.is_relative_to(root)]
    try:
        relative = "" if is_address(record.output) else os.path.relpath(output, folder)
    except ValueError:  # on another drive
        relative = ""
    if not relative:
        address = ""
    else:
        # "./", so that nothing in a name is taken for the scheme of an address.
        address = "./" + quote(os.fsencode(relative.replace(os.sep, "/")))
    return {"name": str(min(names, default=output)), "address": address}


def _stages(summary: Summary) -> Iterator[Mapping[str, Any]]:
    """Where the time went."""
    longest = max(summary.stages.values(), default=0.0) or 1.0
    for name, seconds in summary.stages.items():
        yield {
            "name": name,
            "seconds": seconds,
            "each": seconds / summary.done,
            "percent": f"{100 * seconds / longest:.1f}",
        }


def _others(summary: Summary) -> Sequence[tuple[str, int]]:
    """What was skipped or left out, and how many files that were."""
    skipped = [
        (f"Skipped: {SKIPPED[kind]}", count)
        for kind, count in summary.kinds.items()
        if kind in SKIPPED
    ]
    return skipped + [(f"Left out: {why.value}", n) for why, n in summary.ignored.items()]
