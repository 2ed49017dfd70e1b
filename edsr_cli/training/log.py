"""The record of a training: a CSV file, and a plot of it."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from edsr_cli.errors import FileError
from edsr_cli.files.atomic import atomic_write
from edsr_cli.files.names import display_name
from edsr_cli.files.own import beginning

_HEADER = ("update", "seconds", "learning_rate", "loss")
_SOFTWARE = "edsr train"  # in the plot, by which it is known
_HEAD_BYTES = 4096


class Row(Struct, frozen=True):
    """A line of the record.

    Attributes:
        update: updates done.
        seconds: wall time since the training began.
        learning_rate: that of the last update.
        loss: mean loss, in levels, since the line before.
        psnr: validation PSNR in dB for each scale, where it was measured.
    """

    update: int
    seconds: float
    learning_rate: float
    loss: float
    psnr: dict[int, float]


class Log:
    """A CSV file with the columns update, seconds, learning_rate, loss, and psnr_x2 and so on.

    Each line is written when it comes. PSNR is empty where it was not measured.

    Args:
        path: the file; it is made by `start` or continued by `resume`.
        scales: the scales that have a column.
    """

    def __init__(self, path: Path, scales: Sequence[int]) -> None:
        self.path, self.scales = path, tuple(scales)

    def start(self) -> None:
        """Make an empty file with a header; an old one is replaced."""
        self._replace([])

    def resume(self, update: int) -> None:
        """Drop what was written after an update, which will come again.

        Raises:
            FileError: the file cannot be written.
        """
        self._replace([row for row in self.rows() if row.update <= update])

    def write(self, row: Row) -> None:
        """Add a line.

        Raises:
            FileError: the file cannot be written.
        """
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow(self._values(row))
        except OSError as error:
            raise FileError(
                f"it cannot be written ({error.strerror}).", about=display_name(self.path)
            ) from error

    def rows(self) -> list[Row]:
        """What the file holds; a line that was cut off, or is damaged, is left out."""
        rows = []
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        whole = text[: text.rfind("\n") + 1]
        for line in csv.DictReader(io.StringIO(whole)):
            try:
                psnr = {s: float(line[f"psnr_x{s}"]) for s in self.scales if line[f"psnr_x{s}"]}
                row = Row(
                    int(line["update"]),
                    float(line["seconds"]),
                    float(line["learning_rate"]),
                    float(line["loss"]),
                    psnr,
                )
            except (KeyError, TypeError, ValueError):
                continue
            rows.append(row)
        return rows

    def _values(self, row: Row) -> list[str]:
        psnr = [f"{row.psnr[scale]:.4f}" if scale in row.psnr else "" for scale in self.scales]
        numbers = [f"{row.seconds:.2f}", f"{row.learning_rate:.6g}", f"{row.loss:.6f}"]
        return [str(row.update), *numbers, *psnr]

    def _replace(self, rows: Sequence[Row]) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow([*_HEADER, *(f"psnr_x{scale}" for scale in self.scales)])
        writer.writerows(self._values(row) for row in rows)
        with atomic_write(self.path, overwrite=True) as file:
            file.write(text.getvalue().encode())


def is_record(path: Path) -> bool:
    """Whether a file is the record of a training, or empty."""
    head = beginning(path, _HEAD_BYTES)
    return head is not None and (not head or head.startswith(",".join(_HEADER).encode()))


def is_plot(path: Path, log: Path) -> bool:
    """Whether a file is the plot of a training, or empty.

    Old ones say only that matplotlib has made them: beside a record of a training, that is enough.
    """
    head = beginning(path, _HEAD_BYTES)
    if not head:
        return head is not None
    return b"Software\0" + _SOFTWARE.encode() in head or (
        b"Software\0Matplotlib" in head and bool(beginning(log, 1)) and is_record(log)
    )


def plot(log: Log, path: Path) -> bool:
    """Draw loss and PSNR over the updates, as a PNG file.

    Returns:
        Whether it was drawn: it takes matplotlib, which is not among what the program needs.

    Raises:
        FileError: it cannot be written, or somebody else's file is there.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogFormatter
    except ImportError:
        return False
    rows = log.rows()
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot([row.update for row in rows], [row.loss for row in rows], linewidth=1)
    above.set_ylabel("L1 loss (levels of 255)")
    above.set_yscale("log")
    # Plain numbers: what sets formulas keeps errors, and with them their frames, which hold the
    # whole training, until the interpreter's collector happens to look at everything.
    above.yaxis.set_major_formatter(LogFormatter())
    above.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
    for scale in log.scales:
        measured = [(row.update, row.psnr[scale]) for row in rows if scale in row.psnr]
        below.plot(*zip(*measured, strict=True) if measured else ([], []), ".-", label=f"x{scale}")
    below.set_xlabel("updates")
    below.set_ylabel("validation PSNR, Y (dB)")
    below.legend()
    for axes in (above, below):
        axes.grid(alpha=0.3)
    with atomic_write(path, overwrite=is_plot(path, log.path)) as file:
        figure.savefig(file, format="png", dpi=120, metadata={"Software": _SOFTWARE})
    return True
