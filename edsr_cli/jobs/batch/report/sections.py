"""The parts of the page, from top to bottom."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from edsr_cli.batch.summary import Summary
from edsr_cli.jobs.batch.report.about import About
from edsr_cli.jobs.batch.report.markup import link, path, shown, table, tile
from edsr_cli.jobs.batch.report.previews import Preview
from edsr_cli.jobs.batch.report.records import RecordFile
from edsr_cli.jobs.batch.report.wording import (
    STOPPED,
    duration,
    moment,
    significant,
    size,
)
from edsr_cli.jobs.record import FAILED, SKIPPED, Status
from edsr_cli.text import one_line

UNFOLDED = 50
"""Failures of a kind that are shown at once; the others are there too, but folded up."""

LISTED = 1000
"""Files in the list of all files; a browser would take long over a page with all of 22,000."""


def totals(about: About, summary: Summary) -> Iterator[str]:
    """Whether all is well, from where to where, and the totals."""
    yield f"<header><h1>edsr batch</h1>{_badge(summary)}</header>\n"
    ways = zip(about.inputs, about.outputs, strict=True)
    yield "<p>" + "<br>".join(f"{path(str(a))} &rarr; {path(str(b))}" for a, b in ways) + "</p>\n"
    yield f'<p class="soft small">Began {moment(summary.began)}.</p>\n'
    if about.watching:
        yield '<p class="soft small">The folders were watched until it ended.</p>\n'
    elif summary.stopped is not None:
        reason = STOPPED.get(summary.stopped, f"It ended early: {summary.stopped}.")
        yield (
            f'<div class="notice warn"><strong>This is not all.</strong> {shown(reason)} '
            "Start the same command again to do the rest.</div>\n"
        )
    yield '<dl class="tiles">\n'
    yield tile("done", f"{summary.done:,}")
    if summary.planned:
        yield tile("to do", f"{summary.planned:,}")
    yield tile("failed", f"{summary.failed:,}", "bad" if summary.failed else "")
    yield tile("skipped", f"{summary.skipped:,}")
    yield tile("time", duration(summary.seconds))
    if summary.done and summary.seconds:
        yield tile("pictures a minute", significant(60 * summary.done / summary.seconds))
        yield tile("megapixels a second", significant(summary.megapixels_per_second))
    yield "</dl>\n"


def _badge(summary: Summary) -> str:
    if summary.failed:
        look, words = "bad", f"{summary.failed:,} failed"
    elif summary.stopped is not None:
        look, words = "warn", "stopped"
    else:
        look, words = "good", "nothing failed"
    return f'<span class="badge {look}">{words}</span>'


def failures(summary: Summary, records: RecordFile) -> Iterator[str]:
    """All failures, by kind, the most frequent kind first."""
    if not summary.failed:
        return
    failed = Status.FAILED.value
    counts = Counter(record["kind"] for record in records if record["status"] == failed)
    yield '<section id="failures">\n<h2>Failed</h2>\n'
    for kind, count in counts.most_common():
        same = (item for item in records if item["status"] == failed and item["kind"] == kind)
        yield (
            f'<div class="card group"><h3>{shown(_heading(FAILED[kind]))}'
            f'<span class="count">{count:,}</span></h3>\n'
        )
        yield from _reasons(islice(same, UNFOLDED))
        if count > UNFOLDED:
            yield f"<details><summary>{count - UNFOLDED:,} more</summary>\n"
            yield from _reasons(same)
            yield "</details>\n"
        yield "</div>\n"
    yield "</section>\n"


def _heading(words: str) -> str:
    return words[:1].upper() + words[1:]


def _reasons(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "<ul>\n"
    for record in records:
        # On a line of its own a reason begins with the name, which is here already.
        reason = one_line(record["reason"]).removeprefix(f"{one_line(record['input'])}: ")
        reason = shown(_heading(reason))
        yield f'<li>{path(record["input"])}<span class="reason">{reason}</span></li>\n'
    yield "</ul>\n"


def pictures(
    about: About, summary: Summary, previews: Sequence[Preview], folder: Path
) -> Iterator[str]:
    """Pictures before and after."""
    if not previews:
        return
    which = f"{len(previews):,} of {summary.done:,} pictures. " * (len(previews) < summary.done)
    yield (
        '<section id="pictures">\n<h2>Before and after</h2>\n'
        f'<p class="soft small">{which}The lower pair is a detail, pixel by pixel.</p>\n'
        '<div class="pictures">\n'
    )
    for preview in previews:
        yield _figure(preview, about.outputs, folder)
    yield "</div>\n</section>\n"


def _figure(preview: Preview, outputs: Sequence[Path], folder: Path) -> str:
    record = preview.record
    output = Path(record.output)
    names = [output.relative_to(root) for root in outputs if output.is_relative_to(root)]
    assert record.input_size is not None and record.output_size is not None
    before, after = (
        f"{wide} &times; {high}" for wide, high in (record.input_size, record.output_size)
    )
    return (
        '<figure class="card">\n'
        f'<div class="pair"><img src="{preview.before}" alt="before">'
        f'<img src="{preview.after}" alt="after"></div>\n'
        f'<div class="pair"><img class="pixels" src="{preview.detail_before}" alt="detail before">'
        f'<img src="{preview.detail_after}" alt="detail after"></div>\n'
        f'<div class="pair soft small"><span>{before}</span><span>{after}</span></div>\n'
        f"<figcaption>{link(output, folder, min(names, default=output))}</figcaption>\n</figure>\n"
    )


def times(summary: Summary) -> Iterator[str]:
    """Where the time went."""
    if not summary.done:
        return
    longest = max(summary.stages.values(), default=0.0) or 1.0
    rows = [
        (
            shown(stage),
            duration(seconds),
            duration(seconds / summary.done),
            f'<span class="bar" style="width:{100 * seconds / longest:.1f}%"></span>',
        )
        for stage, seconds in summary.stages.items()
    ]
    heads = ("stage", "all threads", "a picture", "")
    yield '<section id="time">\n<h2>Time</h2>\n'
    yield from table(rows, ("name", "number", "number", "wide"), heads)
    yield (
        f'<p class="soft small">Devices were busy {summary.load.busy_share:.0%} of the time; '
        f"the other stages waited for: {summary.load.bottleneck}. "
        f"Read: {significant(summary.input_pixels / 1e6)} megapixels, {size(summary.input_bytes)}. "
        f"Written: {significant(summary.output_pixels / 1e6)} megapixels, "
        f"{size(summary.output_bytes)}.</p>\n"
        "</section>\n"
    )


def settings(about: About) -> Iterator[str]:
    """What was asked for."""
    yield '<section id="settings">\n<h2>Settings</h2>\n'
    values = {**about.settings, "version": about.version}
    yield from table(((shown(name), shown(value)) for name, value in values.items()), ("name", ""))
    yield "</section>\n"


def others(summary: Summary) -> Iterator[str]:
    """What was skipped or left out."""
    counts = {
        f"Skipped: {SKIPPED[kind]}": count
        for kind, count in summary.kinds.items()
        if kind in SKIPPED
    }
    counts |= {f"Left out: {why.value}": count for why, count in summary.ignored.items()}
    if not counts:
        return
    yield '<section id="others">\n<h2>Skipped and left out</h2>\n'
    rows = ((shown(name), f"{count:,}") for name, count in counts.items())
    yield from table(rows, ("name", "number"))
    yield "</section>\n"


def all_files(summary: Summary, records: RecordFile) -> Iterator[str]:
    """The first files, folded up."""
    if not summary.ended:
        return
    listed = min(LISTED, summary.ended)
    title = "All files" if listed == summary.ended else f"The first {listed:,} files"
    yield f'<section id="files">\n<h2>{title}</h2>\n<details><summary>Show</summary>\n'
    rows = (_file(record) for record in islice(records, listed))
    heads = ("file", "", "before", "after", "time")
    yield from table(rows, ("path", "", "number", "number", "number"), heads)
    yield "</details>\n"
    if listed < summary.ended:
        yield (
            f'<p class="soft small">All {summary.ended:,} are in a report whose name ends in '
            ".json.</p>\n"
        )
    yield "</section>\n"


def _file(record: dict[str, Any]) -> tuple[str, ...]:
    before, after = (
        "&times;".join(map(str, record[key])) if record[key] else ""
        for key in ("input_size", "output_size")
    )
    seconds = duration(record["seconds"]) if record["status"] == Status.DONE.value else ""
    return shown(record["input"]), shown(record["status"]), before, after, seconds
