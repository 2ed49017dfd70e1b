"""`edsr train`."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edsr_cli.cli import interruption
from edsr_cli.cli.options import Messages, command
from edsr_cli.cli.progress import Bar
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import EdsrError
from edsr_cli.options.training import TrainOptions

if TYPE_CHECKING:
    from edsr_cli.training.run import Run
    from edsr_cli.training.trainer import Step

_INTERVAL = 60.0  # seconds between lines where there is no terminal to draw on


@command(TrainOptions, Messages)
def train(options: TrainOptions, messages: Messages) -> None:
    r"""Train a network on your own pictures.

    The defaults are the paper's recipe: batches of 16 patches of 48 x 48, L1 loss, Adam, 1e-4
    halved every 200,000 updates, 300,000 updates: days on a CPU. For a short training, use for
    example --max-time 25m --schedule cosine --lr 4e-4 --warmup 200 --ema 0.999.

    The folder of the run gets page.html, to see how it goes in a browser, weights.safetensors,
    log.csv, plot.png (if matplotlib is installed), and state.pt, which --resume goes on from.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 weights or state that cannot be used, 4 out of
    memory, 130 interrupted (the state is saved).

    Examples:
      edsr train photos/ -o runs/x2 -s 2
          as in the paper, which takes days
      edsr train photos/ -o runs/quick -s 2 --max-time 25m --schedule cosine \
        --lr 4e-4 --warmup 200 --ema 0.999
          a short training
      edsr train photos/ -o runs/x2 -s 2 --resume
          goes on after Ctrl-C
      edsr upscale in.png -m runs/x2/weights.safetensors
          uses what came out
    """
    terminal = Terminal.with_flags(messages.quiet, messages.verbose)
    with terminal.starting(), interruption.held():
        from edsr_cli.api.train import finish
        from edsr_cli.training.start import begun

    with terminal.log(), begun(options, terminal.progress) as run:
        with _saving(terminal, run):
            run.begin(resume=options.resume)
        _train(terminal, run)
        trained = finish(run, options)
        terminal.note(f"The weights are in {trained.weights}.")


def _train(terminal: Terminal, run: "Run") -> None:
    """Make all updates. A signal waits for the end of the one that is in progress."""
    steps = run.steps()
    with _saving(terminal, run), TrainingProgress(terminal, run) as progress:
        while True:
            with interruption.held():
                step = next(steps, None)
            if step is None:
                return
            progress(step)


@contextmanager
def _saving(terminal: Terminal, run: "Run") -> Iterator[None]:
    """Save the state if a signal comes in the block, and say so."""
    try:
        yield
    except interruption.StoppedError:
        try:
            # The end of the block raises again for the signal that brought us here.
            with suppress(interruption.StoppedError), interruption.held():
                run.stop()
        except EdsrError as error:
            terminal.error(str(error))
        else:
            terminal.note(
                f"Stopped after update {run.trainer.update:,}; the same command with --resume goes "
                "on."
            )
        raise


class TrainingProgress:
    """Call it with every step; use it as a context manager.

    Args:
        terminal: where to show it.
        run: what is shown.
    """

    def __init__(self, terminal: Terminal, run: "Run") -> None:
        self._terminal, self._run = terminal, run
        self._begin = time.perf_counter()
        self._first = run.trainer.update
        self._psnr: dict[int, float] = {}
        self._bar = Bar(terminal, interval=_INTERVAL)

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
        elapsed = time.perf_counter() - self._begin
        speed = (step.update - self._first) / elapsed
        begun = step.seconds + elapsed / max(step.update - self._first, 1)
        left = begun * (1 - step.fraction) / max(step.fraction, 1e-9)
        loss = self._run.loss
        parts = [f"update {step.update:,}", f"{speed:.2f} updates/s"]
        parts += [] if math.isnan(loss) else [f"loss {loss:.3f}"]
        return ", ".join([*parts, f"{timedelta(seconds=round(left))} left"])
