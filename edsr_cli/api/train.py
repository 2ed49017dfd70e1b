"""Train a network."""

from pathlib import Path

from msgspec import Struct

from edsr_cli.options.definition import takes
from edsr_cli.options.training import TrainOptions
from edsr_cli.progress import calling
from edsr_cli.training.run import Run
from edsr_cli.training.start import begun


class Trained(Struct, frozen=True):
    """What came out of a training.

    Attributes:
        weights: the file with the network, for `load` and the commands.
        updates: how many were made, those before `resume` included.
        seconds: wall time of all of them.
        loss: the last mean loss, in levels of 255.
        psnr: PSNR in dB on what was validated on, by scale; empty if there was nothing.
    """

    weights: Path
    updates: int
    seconds: float
    loss: float
    psnr: dict[int, float]


@takes(TrainOptions)
def train(options: TrainOptions) -> Trained:
    """Train a network on your own pictures, as `edsr train` does.

    The defaults are the paper's recipe, which takes days on a CPU. The folder of the run gets
    weights.safetensors, log.csv, page.html, plot.png (if matplotlib is installed) and state.pt,
    which `resume` goes on from; Ctrl-C saves that, too.

    Returns:
        What came out; see `Trained`.

    Raises:
        UsageError: the request makes no sense, or there is a run in the folder.
        WeightsError: what is to be started from, or gone on with, cannot be used.
        DeviceMemoryError: a batch does not fit in memory.
        EdsrError: the training diverges, or a file cannot be written.
        TypeError, ValueError: an option is not what it should be; the message names it.

    Example:
        trained = edsr_cli.train("photos", "runs/x2", scale=2, max_time="25m", schedule="cosine",
                                 learning_rate=4e-4, warmup=200, ema=0.999)
        upscaler = edsr_cli.load(trained.weights)
    """
    report = options.progress
    with begun(options, calling(report)) as run:
        try:
            run.begin(resume=options.resume)
            for step in run.steps():
                if report is not None:
                    report("updates", step.update, round(step.update / max(step.fraction, 1e-9)))
        except KeyboardInterrupt:
            run.stop()
            raise
        return finish(run, options)


def finish(run: Run, options: TrainOptions) -> Trained:
    """Write the weights, and say what they are worth."""
    folder, trainer = run.folder, run.trainer
    name = options.name or folder.path.resolve().name
    run.save_weights(name, options.licence, options.origin)
    run.compare()
    return Trained(folder.weights, trainer.update, trainer.seconds, run.loss, dict(run.psnr))
