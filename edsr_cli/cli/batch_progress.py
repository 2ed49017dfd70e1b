"""How a run over folders is going, on a bar or in a line now and then; and what it came to."""

from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edsr_cli.cli import interruption
from edsr_cli.cli.progress import Bar
from edsr_cli.cli.terminal import Terminal
from edsr_cli.jobs.record import FAILED, SKIPPED
from edsr_cli.restoration.words import describe
from edsr_cli.text import one_line

if TYPE_CHECKING:
    from edsr_cli.folders.run import State
    from edsr_cli.folders.summary import Summary
    from edsr_cli.jobs.record import Record

_EXAMPLES = 3  # names of files shown for each kind of failure
_REMARKS = 5  # kinds of them that are shown


class BatchProgress:
    """A listener that shows a run; use it as a context manager.

    Args:
        terminal: where to show it.
        scale: the upscaling factor; None where it is not the same for all pictures.
        drawn: whether a bar may be drawn.
    """

    def __init__(self, terminal: Terminal, scale: int | None, *, drawn: bool = True) -> None:
        self._terminal, self._scale = terminal, scale
        self._stopping = False
        self._bar = Bar(terminal, drawn=drawn)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def ended(self, record: "Record") -> None:
        """Say what became of a file: failures always, the rest if details are wanted."""
        terminal = self._terminal
        if record.status == "failed":
            terminal.error(record.reason or "")
            return
        for remark in record.notes:
            terminal.detail(f"{record.input}: {remark}")
        if record.restore is not None:
            terminal.detail(f"{record.input}: {describe(record.restore, record.restore_reason)}")
        if record.status == "skipped":
            terminal.detail(record.reason or "")
            return
        if not (record.input_size and record.output_size):  # of an earlier run
            terminal.detail(f"{record.input} -> {record.output}: {record.status}")
            return
        sizes = " -> ".join(f"{w} x {h}" for w, h in (record.input_size, record.output_size))
        line = f"{record.input} -> {record.output}: {sizes}"
        if record.status == "planned":
            work = record.plan["multiply_adds"] / 1e9
            terminal.note(f"{line}; {work:.1f} GMAC")
            return
        stages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in record.stages.items())
        terminal.detail(f"{line} on {record.device} in {record.precision}; {stages}")

    def tick(self, state: "State") -> None:
        """Show how far it is."""
        if state.stopping and not self._stopping:
            self._stopping = True
            again = " again" * (interruption.arrived() is not None)  # or a disk is full
            self._terminal.note(
                f"Finishing the pictures that are at work. Ctrl-C{again} stops at once."
            )
        done = state.summary.ended
        self._bar.show(done, state.total, self._numbers(state), below=_running(state))

    def finished(self, summary: "Summary") -> None:
        """Show what it came to."""
        self.close()
        for line in summary_lines(summary, detailed=self._terminal.verbosity >= 1):
            self._terminal.note(line)

    def _numbers(self, state: "State") -> str:
        """Pictures, speed and time left, in words."""
        summary, total = state.summary, state.total
        found = f"{summary.ended:,}"
        if total is not None:
            found += f" of {total:,}{'' if state.counted else '+'}"
        parts = [f"{found} pictures"]
        if summary.failed:
            parts.append(f"{summary.failed:,} failed")
        # What is half done counts half.
        pixels = sum(loop.progress[0] for loop in state.loops if loop.current)
        pixels = pixels * (self._scale or 0) ** 2 + summary.output_pixels
        if pixels and summary.seconds:
            parts.append(f"{pixels / summary.seconds / 1e6:.2f} Mpixel/s")
        left = _time_left(state)
        if left is not None:
            parts.append(f"{timedelta(seconds=round(left))} left")
        return ", ".join(parts)


def _time_left(state: "State") -> float | None:
    """Seconds that the rest will take, if it goes on like this; None if nobody can know.

    What was done before, and is skipped in no time, says nothing about the rest.
    """
    summary = state.summary
    worked = summary.done + summary.failed
    if state.total is None or not state.counted or not worked or state.stopping:
        return None
    return summary.seconds / worked * max(0, state.total - summary.ended)


def _running(state: "State") -> str:
    """What is on the devices, and what waits for them or behind them."""
    parts = []
    for loop in state.loops:
        if loop.current:
            done, total = loop.progress
            share = f" {100 * done / total:.0f} %" if total else ""
            parts.append(f"{one_line(loop.current.label)}{share}")
    decoded, upscaled = state.waiting
    parts.append(f"{decoded} read and waiting, {upscaled} waiting to be written")
    return "; ".join(parts)


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
    if summary.remarked:
        yield "remarks", f"{summary.remarked:,}", "pictures; -v or a report has which"
        common = summary.remarks.most_common()
        for remark, count in common[:_REMARKS]:
            yield "", f"{count:,}", remark
        if len(common) > _REMARKS:
            yield "", "", f"and {len(common) - _REMARKS:,} other remarks"
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
