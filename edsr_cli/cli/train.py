"""`edsr train`."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edsr_cli.cli import interruption, options
from edsr_cli.cli.terminal import Terminal
from edsr_cli.cli.training_progress import TrainingProgress
from edsr_cli.cli.values import parse_duration
from edsr_cli.errors import UsageError
from edsr_cli.training.choices import Autocast, Preset, Schedule

if TYPE_CHECKING:
    from edsr_cli.networks import EDSR, MDSR, NetworkConfig
    from edsr_cli.training.photos import Photos
    from edsr_cli.training.recipe import Recipe
    from edsr_cli.training.run import Run
    from edsr_cli.training.validation import Pairs

_RECIPE, _RUN = "Recipe (default: the paper's)", "Run"


def _option(panel: str, flags: str, text: str, **more: Any) -> Any:
    return typer.Option(*flags.split(), help=text, rich_help_panel=panel, **more)


def command(
    data: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", help="Pictures to learn from, at any depth.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the run.")
    ],
    preset_name: Annotated[
        Preset, typer.Option("-p", "--preset", help="The network, as the paper has it.")
    ] = Preset.EDSR_BASELINE,
    scale: Annotated[
        int | None,
        typer.Option("-s", "--scale", min=2, max=4, help="2, 3 or 4; not for MDSR."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="MODEL|FILE",
            help="Start from these weights as far as they fit. The paper starts x3 and x4 from "
            "x2. MDSR takes the upsamplers of all scales of a MODEL, and the rest of x2. Default: "
            "random weights.",
        ),
    ] = None,
    init_scale: Annotated[
        int | None,
        typer.Option(
            "--init-scale", min=2, max=4, help="Which network of a MODEL. Default: as --scale."
        ),
    ] = None,
    updates: Annotated[int | None, _option(_RECIPE, "--updates", "Updates in all.")] = None,
    max_time: Annotated[
        float | None,
        _option(
            _RECIPE,
            "--max-time",
            "Stop after this wall time, such as 25m or 8h; the schedule is fitted to it.",
            metavar="TIME",
            parser=parse_duration,
        ),
    ] = None,
    batch: Annotated[int | None, _option(_RECIPE, "--batch", "Patches in an update.")] = None,
    patch: Annotated[
        int | None, _option(_RECIPE, "--patch", "Height and width of a patch in LR pixels.")
    ] = None,
    learning_rate: Annotated[
        float | None, _option(_RECIPE, "--learning-rate --lr", "Learning rate of Adam.")
    ] = None,
    schedule: Annotated[
        Schedule | None, _option(_RECIPE, "--schedule", "How the learning rate falls.")
    ] = None,
    decay_every: Annotated[
        int | None, _option(_RECIPE, "--decay-every", "Updates between two steps.")
    ] = None,
    decay_factor: Annotated[
        float | None, _option(_RECIPE, "--decay-factor", "Factor of a step.")
    ] = None,
    warmup: Annotated[
        int | None, _option(_RECIPE, "--warmup", "Updates until the full learning rate.")
    ] = None,
    ema: Annotated[
        float | None,
        _option(_RECIPE, "--ema", "Decay of a moving average of the weights, which is then used."),
    ] = None,
    clip: Annotated[
        float | None, _option(_RECIPE, "--clip", "Cut the gradient's norm down to this.")
    ] = None,
    autocast: Annotated[
        Autocast | None, _option(_RECIPE, "--autocast", "Number format of the convolutions.")
    ] = None,
    channels_last: Annotated[
        bool | None,
        _option(
            _RECIPE,
            "--channels-last/--no-channels-last",
            "Memory layout of activations; a matter of speed.",
        ),
    ] = None,
    seed: Annotated[int | None, _option(_RECIPE, "--seed", "Seed of all that is random.")] = None,
    validate: Annotated[
        Path | None,
        _option(
            _RUN,
            "--validate",
            "Measure PSNR on this data set, as edsr evaluate reads it. Default: on pictures held "
            "out from the folder.",
            metavar="DATASET",
        ),
    ] = None,
    held_out: Annotated[
        int, _option(_RUN, "--hold-out", "Pictures to hold out if there is no --validate.", min=0)
    ] = 8,
    validate_every: Annotated[
        int | None, _option(_RUN, "--validate-every", "Updates between two measurements.")
    ] = None,
    cache: Annotated[
        Path | None,
        _option(
            _RUN,
            "--cache",
            "Keep the decoded pictures in this folder, for the next run and for sets larger than "
            "memory. Default: in memory.",
            metavar="DIR",
        ),
    ] = None,
    resume: Annotated[
        bool, _option(_RUN, "--resume", "Go on with the run in the folder; same options as then.")
    ] = False,
    overwrite: Annotated[
        bool, _option(_RUN, "--overwrite", "Replace a run that is in the folder.")
    ] = False,
    name: Annotated[
        str | None, _option(_RUN, "--name", "Name of the model. Default: the folder's.")
    ] = None,
    licence: Annotated[
        str, _option(_RUN, "--licence", "Licence of the weights, for their metadata.")
    ] = "none stated",
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a network on your own pictures.

    The defaults are the paper's recipe: batches of 16 patches of 48 x 48, L1 loss, Adam, 1e-4
    halved every 200,000 updates, 300,000 updates. That takes an hour or less on a large GPU, and a
    week on a CPU; for a short training, use for example
    --max-time 25m --schedule cosine --learning-rate 4e-4 --ema 0.999.

    The folder of the run gets weights.safetensors, log.csv, plot.png (if matplotlib is installed)
    and state.pt, which --resume goes on from.

    **Exit codes**: 0 done, 1 failed, 2 wrong usage, 3 weights or state that cannot be used, 4 out
    of memory, 130 interrupted (the state is saved).
    """
    if quiet and verbose:
        raise UsageError("-q and -v exclude each other.")
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other.")
    terminal = Terminal(verbosity=1 if verbose else -1 if quiet else 0)
    with interruption.held():
        from edsr_cli.inference import devices
        from edsr_cli.training.patches import Sampler, home
        from edsr_cli.training.recipe import preset, with_options
        from edsr_cli.training.run import Run, RunFolder, Subject
        from edsr_cli.training.trainer import Trainer

    with terminal.log():
        config, recipe = preset(preset_name, scale)
        recipe = with_options(
            recipe,
            updates=updates,
            max_seconds=max_time,
            batch_size=batch,
            patch_size=patch,
            learning_rate=learning_rate,
            schedule=schedule,
            decay_every=decay_every,
            decay_factor=decay_factor,
            warmup=warmup,
            ema=ema,
            clip_norm=clip,
            autocast=autocast,
            channels_last=channels_last,
            seed=seed,
            validate_every=validate_every,
        )
        target = devices.pick_device(device)
        folder = RunFolder(output)
        folder.check(resume, overwrite)
        photos = _load(terminal, data, config, recipe, cache)
        learn, pairs = _validation(photos, config, validate, held_out)
        network, start = _initial(terminal, config, recipe.seed, init, init_scale or scale)
        data_summary = learn.summary() | {"held_out": len(photos.photos) - len(learn.photos)}
        subject = Subject(config, recipe, data_summary, start)
        sampler = Sampler(
            learn,
            config.scales,
            recipe.batch_size,
            recipe.patch_size,
            recipe.seed,
            home(learn, target),
        )
        run = Run(folder, subject, Trainer(network, recipe, sampler, target), pairs)
        if resume:
            run.resume()
            terminal.note(f"Going on after update {run.trainer.update:,}.")
        else:
            run.start()
        _train(terminal, run)
        run.save_weights(
            name or output.resolve().name, licence, "Trained with edsr train; see 'training'"
        )
        terminal.note(f"The weights are in {folder.weights}.")


def _load(
    terminal: Terminal,
    data: list[Path],
    config: "NetworkConfig",
    recipe: "Recipe",
    cache: Path | None,
) -> "Photos":
    from edsr_cli.training.photos import load_photos

    least = recipe.patch_size * max(config.scales)
    with terminal.progress("Reading pictures", 0) as progress:
        photos = load_photos(data, config.scales, least, cache, progress)
    for remark in photos.skipped:
        terminal.warning(f"Skipped: {remark}")
    summary = photos.summary()
    terminal.note(
        f"{summary['pictures']} pictures, {summary['megapixels']} megapixels; "
        f"{summary['skipped']} skipped."
    )
    return photos


def _validation(
    photos: "Photos", config: "NetworkConfig", folder: Path | None, count: int
) -> "tuple[Photos, Pairs]":
    """The pictures to learn from, and what to measure PSNR on."""
    from edsr_cli.training.validation import hold_out, pairs_in, pairs_of

    if folder is not None:
        return photos, {scale: pairs_in(folder, scale) for scale in config.scales}
    if not count:
        return photos, {}
    learn, held = hold_out(photos, count)
    return learn, {scale: pairs_of(held, scale) for scale in config.scales}


def _initial(
    terminal: Terminal,
    config: "NetworkConfig",
    seed: int,
    init: str | None,
    scale: int | None,
) -> "tuple[EDSR | MDSR, str]":
    """The network to train, and what it starts from."""
    from edsr_cli.checkpoints import registry
    from edsr_cli.checkpoints.loader import load_network
    from edsr_cli.training.initial import random_network, start_from

    network = random_network(config, seed)
    if init is None:
        if scale in (3, 4):
            terminal.note("The paper starts x3 and x4 from x2, which --init does.")
        return network, "random weights"
    # MDSR takes a model's networks of all scales, x2 last, so that what they share is that of x2.
    several = scale is None and init in registry.names()
    scales = sorted(config.scales, reverse=True) if several else [scale]
    sources = [load_network(init, each) for each in scales]
    fresh = set(network.state_dict())
    for source in sources:
        fresh &= start_from(network, source.network)
    if fresh:
        modules = sorted({key.split(".")[0] for key in fresh})
        terminal.note(f"With random weights in: {', '.join(modules)}.")
    names = ", ".join(f"x{source.scale}" for source in reversed(sources))
    return network, f"{sources[0].name} {names}"


def _train(terminal: Terminal, run: "Run") -> None:
    """Make all updates. A signal waits for the end of the one that is in progress."""
    steps = run.steps()
    try:
        with TrainingProgress(terminal, run) as progress:
            while True:
                with interruption.held():
                    step = next(steps, None)
                if step is None:
                    return
                progress(step)
    except interruption.StoppedError:
        # The end of the block raises again for the signal that brought us here.
        with suppress(interruption.StoppedError), interruption.held():
            run.save()
        terminal.note(
            f"Stopped after update {run.trainer.update:,}; the same command with --resume goes on."
        )
        raise
