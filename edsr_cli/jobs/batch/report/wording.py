"""Numbers and kinds of failures in words."""

import time

from edsr_cli.jobs.batch.record import Kind

KINDS = {
    Kind.UNREADABLE: "Not readable as a picture",
    Kind.TOO_LARGE: "Too large",
    Kind.PERMISSION: "No permission",
    Kind.MISSING: "Vanished, or a link that leads nowhere",
    Kind.NAME: "Names that the system does not take",
    Kind.EXISTS: "An output that this program has not made is in the way",
    Kind.OUTPUT: "The output could not be written",
    Kind.DISK_FULL: "The disk was full",
    Kind.MANIFEST: "The manifest could not be written",
    Kind.MEMORY: "Not enough memory",
    Kind.WEIGHTS: "The network gave no finite numbers",
    Kind.UNEXPECTED: "Unexpected errors",
    Kind.COMPLETE: "Up to date",
    Kind.EDITED: "Changed since they were made, and left as they are",
}
"""A heading for each kind."""

STOPPED = {
    "interrupted": "It was stopped before the end.",
    "failure": "It ended at the first failure, as --fail-fast asks for.",
    "disk-full": "It ended because the disk was full.",
    "manifest": "It ended because the manifest could not be written.",
}
"""A sentence for each value of `Summary.stopped`."""


def duration(seconds: float) -> str:
    """Seconds as "40 ms", "1.4 s", "12 s", "3 min 5 s" or "2 h 40 min"."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: int) -> str:
    """Bytes as "512 B", "12.3 kB" or "4.56 GB"."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{significant(value)} {unit}"
    return f"{significant(value / 1000)} TB"


def significant(value: float) -> str:
    """A number with three digits that count, or more in front of the point."""
    for digits, limit in ((3, 0.9995), (2, 9.995), (1, 99.95)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
