"""Numbers, times and endings of runs in words."""

import time

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
