"""`edsr train`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edsr_cli.cli import interruption, options, training_options
from edsr_cli.cli.terminal import Terminal
from edsr_cli.cli.training_progress import TrainingProgress
from edsr_cli.errors import DeviceMemoryError, EdsrError, UsageError
from edsr_cli.training.choices import Preset

if TYPE_CHECKING:
    from edsr_cli.degradations.pictures import PictureDegradation
    from edsr_cli.model.config import NetworkConfig
    from edsr_cli.model.networks import EDSR, MDSR
    from edsr_cli.training.photos import Photos
    from edsr_cli.training.run import Run
    from edsr_cli.training.validation import Pairs


def command(
    data: training_options.Pictures,
    output: training_options.Folder,
    scale: training_options.Scale = None,
    preset_name: training_options.PresetName = Preset.EDSR_BASELINE,
    max_time: training_options.MaxTime = None,
    init: training_options.Init = None,
    init_scale: training_options.InitScale = None,
    degrade: training_options.Degrade = None,
    validate: training_options.Validate = None,
    resume: training_options.Resume = False,
    overwrite: training_options.Overwrite = False,
    updates: training_options.Updates = None,
    batch: training_options.Batch = None,
    patch: training_options.Patch = None,
    learning_rate: training_options.LearningRate = None,
    betas: training_options.Betas = None,
    epsilon: training_options.Epsilon = None,
    schedule: training_options.ScheduleName = None,
    decay_every: training_options.DecayEvery = None,
    decay_factor: training_options.DecayFactor = None,
    warmup: training_options.Warmup = None,
    ema: training_options.Ema = None,
    clip: training_options.Clip = None,
    autocast: training_options.AutocastName = None,
    channels_last: training_options.ChannelsLast = None,
    shrink: training_options.Shrink = 1,
    seed: training_options.Seed = None,
    held_out: training_options.HeldOut = None,
    validate_every: training_options.ValidateEvery = None,
    cache: training_options.Cache = None,
    cuda_graph: training_options.CudaGraph = True,
    name: training_options.Name = None,
    licence: training_options.Licence = "none stated",
    origin: training_options.Origin = "Trained with edsr train",
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a network on your own pictures.

    The defaults are the paper's recipe: batches of 16 patches of 48 x 48, L1 loss, Adam, 1e-4
    halved every 200,000 updates, 300,000 updates: days on a CPU. For a short training, use for
    example --max-time 25m --schedule cosine --lr 4e-4 --warmup 200 --ema 0.999.

    The folder of the run gets weights.safetensors, log.csv, plot.png (if matplotlib is installed)
    and state.pt, which --resume goes on from.

    **Exit codes**: 0 done, 1 failed, 2 wrong usage, 3 weights or state that cannot be used, 4 out
    of memory, 130 interrupted (the state is saved).
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other.")
    terminal = Terminal.with_flags(quiet, verbose)
    with terminal.starting(), interruption.held():
        from edsr_cli.degradations.pictures import like
        from edsr_cli.degradations.reduction import UNKNOWN, Bicubic, Given
        from edsr_cli.degradations.reduction import choose as reduction_of
        from edsr_cli.inference.engines.torch import devices
        from edsr_cli.inference.processors import use_threads
        from edsr_cli.training.initial import random_network
        from edsr_cli.training.loading import load_photos
        from edsr_cli.training.patches import Sampler, home
        from edsr_cli.training.recipe import preset, with_options
        from edsr_cli.training.run import Run, RunFolder, Subject
        from edsr_cli.training.trainer import Trainer
        from edsr_cli.training.validation import degraded_pairs

    with terminal.log():
        use_threads(threads)
        config, recipe = preset(preset_name, scale)
        reduction, data = reduction_of(degrade or "", data, config.scales)
        if shrink > 1 and isinstance(reduction, Given):
            raise UsageError(
                "--shrink does not go with LR pictures that are given.", "Leave it out."
            )
        if reduction.identity != Bicubic().identity:
            degrade = f"{UNKNOWN}:{reduction.identity}"
        recipe = with_options(
            recipe,
            updates=updates,
            max_seconds=max_time,
            batch_size=batch,
            patch_size=patch,
            learning_rate=learning_rate,
            betas=betas,
            epsilon=epsilon,
            schedule=schedule,
            decay_every=decay_every,
            decay_factor=decay_factor,
            warmup=warmup,
            ema=ema,
            clip_norm=clip,
            autocast=autocast,
            channels_last=channels_last,
            degradation=degrade,
            seed=seed,
            validate_every=validate_every,
        )
        target = devices.pick_device(device)
        folder = RunFolder(output)
        folder.check(resume, overwrite)
        with terminal.progress("Reading pictures", 0) as progress:
            least = recipe.reach * max(config.scales)
            photos = load_photos(data, config.scales, least, cache, progress, reduction, shrink)
        _describe(terminal, photos)
        degradation = recipe.patch_degradation
        learn, pairs = _validation(photos, config, validate, like(reduction), held_out)
        pairs = degraded_pairs(pairs, degradation)
        if resume:
            network, start = random_network(config, recipe.seed), ""  # both come from the state
        else:
            network, start = _initial(terminal, config, recipe.seed, init, init_scale)
        _describe_split(terminal, photos, learn, validate)
        data_summary = learn.summary() | {"held_out": len(photos.photos) - len(learn.photos)}
        if shrink > 1:
            data_summary["shrink"] = shrink
        named = f"{init} x{init_scale}" if init and init_scale else init
        subject = Subject(config, recipe, data_summary, named, start)
        sampler = Sampler(
            learn,
            config.scales,
            recipe.batch_size,
            recipe.patch_size,
            recipe.seed,
            home(learn, target),
            degradation,
        )
        with folder.held():
            folder.check(resume, overwrite)  # what another process has done since
            trainer = Trainer(network, recipe, sampler, target, graph=cuda_graph)
            run = Run(folder, subject, trainer, pairs)
            if resume:
                run.resume()
                terminal.note(f"Going on after update {run.trainer.update:,}.")
            else:
                with _saving(terminal, run):
                    run.start()
            _train(terminal, run)
            run.save_weights(name or output.resolve().name, licence, origin)
            _compare(terminal, run)
            terminal.note(f"The weights are in {folder.weights}.")


def _describe(terminal: Terminal, photos: "Photos") -> None:
    """Say what there is to learn from."""
    for remark in photos.skipped:
        terminal.warning(f"Skipped: {remark}")
    summary = photos.summary()
    terminal.note(
        f"{summary['pictures']} pictures, {summary['megapixels']} megapixels; "
        f"{summary['skipped']} skipped."
    )


def _describe_split(
    terminal: Terminal, photos: "Photos", learn: "Photos", folder: Path | None
) -> None:
    """Say what is learnt from, and what PSNR is measured on."""
    from edsr_cli.files.names import display_name

    chosen = {photo.name for photo in learn.photos}
    held = [photo.name for photo in photos.photos if photo.name not in chosen]
    if folder is not None:
        rest = f"PSNR is measured on {display_name(folder)}"
    elif held:
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        rest = f"PSNR is measured on {len(held)} held out: {', '.join(held[:3])}{more}"
    else:
        rest = "none is held out, so no PSNR is measured; --validate or --hold-out would do that"
    terminal.note(f"Learning from {len(learn.photos)}; {rest}.")


def _compare(terminal: Terminal, run: "Run") -> None:
    """Warn of a network that is worse than no network."""
    from edsr_cli.training.validation import bicubic_psnr

    simple = bicubic_psnr(run.pairs)
    for scale, value in run.psnr.items():
        if scale in simple and value < simple[scale]:
            terminal.warning(
                f"x{scale} has {value:.2f} dB, less than bicubic interpolation with "
                f"{simple[scale]:.2f} dB: it has not learnt enough to be of use. Train it longer, "
                "on more pictures, or start from a model with --init."
            )


def _validation(
    photos: "Photos",
    config: "NetworkConfig",
    folder: Path | None,
    degrade: "PictureDegradation",
    count: int | None,
) -> "tuple[Photos, Pairs]":
    """The pictures to learn from, and what to measure PSNR on."""
    from edsr_cli.training.validation import hold_out, pairs_in, pairs_of

    if folder is not None:
        return photos, {scale: pairs_in(folder, scale, degrade) for scale in config.scales}
    learn, held = hold_out(photos, count)
    return learn, {scale: pairs_of(held, scale) for scale in config.scales}


def _initial(
    terminal: Terminal,
    config: "NetworkConfig",
    seed: int,
    init: str | None,
    init_scale: int | None,
) -> "tuple[EDSR | MDSR, str]":
    """The network to train, and what it starts from."""
    from edsr_cli.checkpoints import registry
    from edsr_cli.checkpoints.loader import load_network
    from edsr_cli.training.initial import random_network, start_from

    network = random_network(config, seed)
    if init is None:
        if config.architecture == "edsr" and config.scales != (2,):
            terminal.note("The paper starts x3 and x4 from x2, which --init does.")
        return network, "random weights"
    # MDSR takes a model's networks of all scales, x2 last, so that what they share is that of x2.
    # Of a file, the network is the one that it has.
    named = init in registry.names() and init_scale is None
    scales = sorted(config.scales, reverse=True) if named else [init_scale]
    sources = [load_network(init, each) for each in scales]
    fresh = set(network.state_dict())
    for source in sources:
        fresh &= start_from(network, source.network)
    if fresh:
        modules = sorted({key.split(".")[0] for key in fresh})
        terminal.note(f"With new weights in: {', '.join(modules)}.")
    names = ", ".join(f"x{source.scale}" for source in reversed(sources))
    return network, f"{sources[0].name} {names}"


def _train(terminal: Terminal, run: "Run") -> None:
    """Make all updates. A signal waits for the end of the one that is in progress."""
    from edsr_cli.inference.engines.torch import devices

    steps = run.steps()
    try:
        with _saving(terminal, run), TrainingProgress(terminal, run) as progress:
            while True:
                with interruption.held():
                    step = next(steps, None)
                if step is None:
                    return
                progress(step)
    except (RuntimeError, MemoryError) as error:
        if not devices.is_out_of_memory(error):
            raise
        raise DeviceMemoryError(
            f"A batch does not fit in the memory of {run.trainer.device}.",
            "Use a smaller --batch or --patch, or --autocast bf16.",
        ) from error


@contextmanager
def _saving(terminal: Terminal, run: "Run") -> Iterator[None]:
    """Save the state if a signal comes in the block, and say so."""
    try:
        yield
    except interruption.StoppedError:
        try:
            # The end of the block raises again for the signal that brought us here.
            with suppress(interruption.StoppedError), interruption.held():
                run.save()
        except EdsrError as error:
            terminal.error(str(error))
        else:
            terminal.note(
                f"Stopped after update {run.trainer.update:,}; the same command with --resume goes "
                "on."
            )
        raise
