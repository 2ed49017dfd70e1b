"""Measure how close upscaled pictures come to the originals."""

import logging
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edsr_cli.api.opening import open_network, put_on_device
from edsr_cli.checkpoints import registry
from edsr_cli.checkpoints.loader import LoadedNetwork
from edsr_cli.datasets.benchmark import Benchmark, LoadedPair, Pair, find_benchmark
from edsr_cli.degradations.pictures import CLEAN, picture_degradation
from edsr_cli.errors import UsageError
from edsr_cli.evaluation.evaluate import Result, Seen, Settings
from edsr_cli.evaluation.evaluate import evaluate as evaluate_set
from edsr_cli.evaluation.metrics import Channels
from edsr_cli.evaluation.plot import check_plot, default_degradations, plot_gain
from edsr_cli.evaluation.saving import refuse_conflicts
from edsr_cli.evaluation.scores import Scores
from edsr_cli.evaluation.summary import Summary, summarise
from edsr_cli.evaluation.table import published_name, title
from edsr_cli.files.names import display_name
from edsr_cli.images import DEFAULT_MAX_PIXELS
from edsr_cli.inference import Upscaler
from edsr_cli.inference.processors import use_threads
from edsr_cli.options.definition import takes
from edsr_cli.options.evaluating import EvaluateOptions
from edsr_cli.progress import Progress, Report, calling
from edsr_cli.report.evaluation_page import Mean, Measured, Section, Worst, write_evaluation
from edsr_cli.report.places import EVALUATION
from edsr_cli.restoration.networks import restore_label

logger = logging.getLogger(__name__)


@takes(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> list[Summary]:
    """Measure how close upscaled pictures come to the originals, as `edsr evaluate` does.

    As the papers do: 8-bit output, luma (Y) and colours (RGB), the border left out, beside bicubic
    interpolation and published figures. In fp32 unless `precision` says otherwise, so that figures
    compare.

    Returns:
        For each scale, degradation and data set: `scores` and `bicubic` with the means (PSNR in
        dB, SSIM from 0 to 1; None if every picture failed), `published` figures, and `results`,
        one for each picture, with `error` if it failed. `to_dict()` is what `edsr evaluate --json`
        prints.

    Raises:
        UsageError: the request makes no sense, or a folder is no data set.
        WeightsError: the model is unknown or its file cannot be used.
        TypeError, ValueError: an option is not what it should be; the message names it.

    Example:
        [summary] = edsr_cli.evaluate("Set5", scale=2, model="edsr-free")
        print(f"{summary.scores.psnr_y:.2f} dB")
    """
    summaries = []
    for outcome in evaluating(options, calling(options.progress)):
        if isinstance(outcome, Summary):
            summaries.append(outcome)
        elif options.each is not None:
            options.each(outcome)
    return summaries


def evaluating(options: EvaluateOptions, progress: Progress) -> Iterator[Result | Summary]:
    """Evaluate one data set after another; gives its results as they come, and then its summary.

    Raises:
        UsageError, WeightsError: see `evaluate`.
    """
    use_threads(options.threads)
    wanted = options.degrade or (default_degradations() if options.plot else [CLEAN.name])
    if options.plot:
        check_plot(wanted, Path(options.plot), options.overwrite)
    if options.html is not None:
        EVALUATION.check(Path(options.html), options.overwrite)
    if options.save is not None and len(wanted) > 1:
        raise UsageError("--save is for one degradation.", "Give --degrade once.")
    for dataset in options.datasets:
        find_benchmark(dataset)  # before the work of loading a network
    networks = _networks(options, progress)
    scales = tuple(each.scale for each in networks)
    degradations = [picture_degradation(text, scales) for text in dict.fromkeys(wanted)]
    sets = [
        [find_benchmark(name, degradation.lr) for name in dict.fromkeys(options.datasets)]
        for degradation in degradations
    ]
    settings = _settings(options)
    if settings.save is not None:
        refuse_conflicts(settings.save, sets[0], scales)
    summaries: list[tuple[Summary, Worst]] = []
    for network in networks:
        plain = options.restore == 0
        upscaler = put_on_device(options, network, options.device, progress, plain=plain)
        settings = replace(settings, model=network.name, restore=restore_label(upscaler))
        for degradation, benchmarks in zip(degradations, sets, strict=True):
            mine = replace(settings, degrade=degradation)
            for benchmark in benchmarks:
                worst = Worst()
                seen = _seen(worst, benchmark) if options.html is not None else None
                summary = yield from _evaluating(benchmark, upscaler, mine, progress, seen)
                summaries.append((summary, worst))
                yield summary
    if options.html is not None:
        sections = [_section(summary, worst) for summary, worst in summaries]
        write_evaluation(Path(options.html), sections, overwrite=options.overwrite)
        logger.info("The page is in %s.", display_name(Path(options.html)))
    if options.plot:
        path = Path(options.plot)
        drawn = plot_gain([summary for summary, _ in summaries], path, options.overwrite)
        where = f"The plot is in {display_name(path)}."
        logger.info("%s", where if drawn else "There is nothing to plot.")


def _seen(worst: Worst, benchmark: Benchmark) -> Seen:
    """What keeps the worst pictures of a data set."""
    channels = _channels(benchmark)

    def seen(
        result: Result, pair: LoadedPair, sr: NDArray[np.uint8], bicubic: NDArray[np.uint8]
    ) -> None:
        assert result.scores is not None
        psnr, _ = _of(channels, result.scores)
        versions = {"bicubic": bicubic, result.model: sr, "original": pair.hr}
        worst.consider(result.picture, psnr, result.border, versions)

    return seen


def _channels(benchmark: Benchmark) -> Channels:
    """What is measured first: colours of DIV2K, luma of others, as is usual."""
    return Channels.RGB if benchmark.is_div2k else Channels.Y


def _of(channels: Channels, scores: Scores) -> tuple[float, float]:
    """PSNR and SSIM."""
    if channels is Channels.Y:
        return scores.psnr_y, scores.ssim_y
    return scores.psnr_rgb, scores.ssim_rgb


def _section(summary: Summary, worst: Worst) -> Section:
    """What a page shows of a data set."""
    channels = _channels(summary.benchmark)
    of = partial(_of, channels)

    means = [
        Mean(name, kind, *of(scores))
        for name, kind, scores in (
            (summary.settings.model, "network", summary.scores),
            ("bicubic", "bicubic", summary.bicubic),
        )
        if scores is not None
    ]
    means += [
        Mean(published_name(figure), "published", figure.psnr, figure.ssim)
        for figure in summary.published
        if figure.channels is channels
    ]
    pictures = [
        Measured(
            each.picture,
            *of(each.scores),
            of(each.bicubic)[0],
            each.seconds,
            look=worst.look(each.picture),
        )
        if each.scores and each.bicubic
        else Measured(each.picture, error=each.error or "")
        for each in summary.results
    ]
    return Section(title(summary), channels.name, means, pictures)


def _networks(options: EvaluateOptions, progress: Progress) -> list[LoadedNetwork]:
    """The network for each scale: those asked for, or all that the model has."""
    loaded: list[LoadedNetwork] = []
    wanted = options.scale or registry.scales(options.model)
    if not wanted:
        loaded.append(open_network(options, None, progress))
        wanted = loaded[0].config.scales
    chosen = []
    for scale in dict.fromkeys(wanted):
        fitting = (each for each in loaded if scale in each.config.scales)
        network = next(fitting, None) or open_network(options, scale, progress)
        loaded.append(network)
        chosen.append(replace(network, scale=scale))
    return chosen


def _settings(options: EvaluateOptions) -> Settings:
    return Settings(
        options.model,
        options.ensemble,
        options.tile,
        options.border,
        options.max_pixels or DEFAULT_MAX_PIXELS,
        None if options.save is None else Path(options.save),
        options.overwrite,
    )


def _evaluating(
    benchmark: Benchmark,
    upscaler: Upscaler,
    settings: Settings,
    progress: Progress,
    seen: Seen | None,
) -> Generator[Result, None, Summary]:
    """Evaluate one data set at one scale."""
    scale, results = upscaler.scale, []

    def shown(pair: Pair) -> AbstractContextManager[Report]:
        return progress(f"{benchmark.name} x{scale}, {pair.name}", scale**2)

    for result in evaluate_set(benchmark, upscaler, settings, shown, seen):
        results.append(result)
        yield result
    return summarise(benchmark, scale, settings, results)
