"""What a run over folders came to, as a table."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from edsr_cli.jobs.record import FAILED, SKIPPED

if TYPE_CHECKING:
    from edsr_cli.folders.summary import Summary

_EXAMPLES = 3  # names of files shown for each kind of failure


def summary_lines(summary: "Summary", detailed: bool = False) -> list[str]:
    """The table for the end of a run, line by line.

    Args:
        summary: what it came to.
        detailed: whether to say which stage held up the others.
    """
    rows = list(_rows(summary, detailed))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [
        f"{label:<{widths[0]}}  {count:>{widths[1]}}  {remark}".rstrip()
        for label, count, remark in rows
    ]


def endings(summary: "Summary") -> str:
    """The endings of the pictures that cannot be read, the most frequent first."""
    return ", ".join(ending for ending, _ in summary.unread.most_common())


def _rows(summary: "Summary", detailed: bool) -> Iterator[tuple[str, str, str]]:
    """Label, number and remark of each line."""
    if summary.planned:
        yield "to do", f"{summary.planned:,}", ""
    if summary.done or not summary.planned:
        yield "done", f"{summary.done:,}", _speed(summary)
    if summary.restored:
        strengths = [f"{count:,} with {each:g}" for each, count in sorted(summary.restored.items())]
        yield "restored", f"{sum(summary.restored.values()):,}", ", ".join(strengths)
    kinds = [(kind.value, count) for kind, count in summary.kinds.most_common()]
    if summary.skipped:
        reasons = [f"{count:,} {SKIPPED[kind]}" for kind, count in kinds if kind in SKIPPED]
        yield "skipped", f"{summary.skipped:,}", "; ".join(reasons)
    yield "failed", f"{summary.failed:,}", ""
    for kind, count in kinds:
        if kind in FAILED:
            names = [record.input for record in summary.failures if record.kind == kind]
            more = ", ..." if count > _EXAMPLES else ""
            yield "", f"{count:,}", f"{FAILED[kind]}: {', '.join(names[:_EXAMPLES])}{more}"
    if summary.ignored:
        reasons = [
            f"{count:,} {why.value}" + (f" ({endings(summary)})" if why.name == "UNREAD" else "")
            for why, count in sorted(summary.ignored.items())
        ]
        yield "not taken", f"{sum(summary.ignored.values()):,}", "; ".join(reasons)
    if summary.seconds:
        yield "time", "", str(timedelta(seconds=round(summary.seconds)))
    if detailed and summary.done:
        load = summary.load
        yield (
            "bottleneck",
            "",
            f"{load.bottleneck}; devices were busy {100 * load.busy_share:.1f} % of the time, "
            f"waited {load.starved:.1f} s for reading and {load.blocked:.1f} s for writing",
        )


def _speed(summary: "Summary") -> str:
    if not summary.done:
        return ""
    if not summary.output_pixels:  # of earlier runs
        return f"{summary.output_bytes / 1e6:,.1f} MB"
    return (
        f"{summary.output_pixels / 1e6:,.1f} Mpixel, {summary.megapixels_per_second:.2f} Mpixel/s, "
        f"{summary.output_bytes / 1e6:,.1f} MB"
    )
