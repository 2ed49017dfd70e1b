"""The progress of a training: a bar on a terminal, a line now and then elsewhere."""

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edsr_cli.cli.progress import Bar
from edsr_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from edsr_cli.training.run import Run
    from edsr_cli.training.trainer import Step

_PLAIN_INTERVAL = 60.0  # seconds between lines where there is no terminal to draw on


class TrainingProgress:
    """Call it with every step; use it as a context manager.

    Args:
        terminal: where to show it.
        run: what is shown.
    """

    def __init__(self, terminal: Terminal, run: "Run") -> None:
        self._terminal, self._run = terminal, run
        self._begin = time.monotonic()
        self._first = run.trainer.update
        self._psnr: dict[int, float] = {}
        self._bar = Bar(terminal, interval=_PLAIN_INTERVAL)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        self._show_psnr()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        if kind is None:
            self._show_psnr()

    def __call__(self, step: "Step") -> None:
        """Show that an update is done."""
        self._show_psnr()
        words = f"{100 * step.fraction:.1f} %, {self._line(step)}"
        self._bar.show(step.fraction, 1.0, words)

    def _show_psnr(self) -> None:
        """Say what the last validation gave, if it has not been said."""
        if self._run.psnr != self._psnr:
            self._psnr = self._run.psnr
            quality = ", ".join(f"x{scale} {value:.3f}" for scale, value in self._psnr.items())
            update = self._run.trainer.update
            self._terminal.note(f"Update {update:,}: validation PSNR {quality} dB")

    def _line(self, step: "Step") -> str:
        elapsed = time.monotonic() - self._begin
        speed = (step.update - self._first) / elapsed
        begun = step.seconds + elapsed / max(step.update - self._first, 1)
        left = begun * (1 - step.fraction) / max(step.fraction, 1e-9)
        loss = self._run.loss
        parts = [f"update {step.update:,}", f"{speed:.2f} updates/s"]
        parts += [] if math.isnan(loss) else [f"loss {loss:.3f}"]
        return ", ".join([*parts, f"{_duration(left)} left"])


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
