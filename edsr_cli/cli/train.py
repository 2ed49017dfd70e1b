"""`edsr train`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from edsr_cli.cli import interruption
from edsr_cli.cli.options import Messages, command
from edsr_cli.cli.terminal import Terminal
from edsr_cli.cli.training_progress import TrainingProgress
from edsr_cli.errors import EdsrError
from edsr_cli.options.training import TrainOptions

if TYPE_CHECKING:
    from edsr_cli.training.run import Run


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
