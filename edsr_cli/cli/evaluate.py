"""`edsr evaluate`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edsr_cli.cli import evaluation_options, interruption, options
from edsr_cli.cli.downloads import finder
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from edsr_cli.checkpoints.convention import Stated
    from edsr_cli.checkpoints.loader import LoadedNetwork
    from edsr_cli.cli.terminal import PictureProgress
    from edsr_cli.datasets.benchmark import Benchmark, Pair
    from edsr_cli.evaluation.evaluate import Result, Settings
    from edsr_cli.evaluation.summary import Summary
    from edsr_cli.inference import Tile, Upscaler


def command(
    datasets: evaluation_options.Datasets,
    scales: evaluation_options.Scales = None,
    model: options.Model = "edsr-free",
    restore: evaluation_options.RestoreScores = "0",
    ensemble: options.Ensemble = False,
    degrade: evaluation_options.Degrade = None,
    save: evaluation_options.Save = None,
    overwrite: options.Overwrite = False,
    plot: evaluation_options.Plot = None,
    download: options.Download = False,
    border: evaluation_options.Border = None,
    as_json: evaluation_options.AsJsonScores = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    device: options.Device = "auto",
    precision: options.Precision = options.PrecisionName.FP32,
    threads: options.Threads = None,
    max_memory: options.MaxMemory = None,
    tile: options.Tile = "auto",
    max_pixels: options.MaxPixels = None,
    layout: options.Layout = None,
    value_range: options.ValueRange = None,
    mean_shift: options.MeanShift = None,
    residual_scale: options.ResidualScale = None,
) -> None:
    """Measure how close upscaled pictures come to the originals: PSNR and SSIM.

    As the papers do: 8-bit output, luma (Y) and colours (RGB), the border left out, beside bicubic
    interpolation and published figures. In fp32 unless --precision says otherwise, so that figures
    compare.

    **Exit codes**: 0 all done, 1 some pictures failed, 2 wrong usage, 3 weights missing or
    damaged, 4 out of memory, 130 interrupted.
    """
    terminal = Terminal.with_flags(quiet, verbose)

    with terminal.starting(), interruption.held():
        from edsr_cli.checkpoints.convention import Stated
        from edsr_cli.datasets.benchmark import find_benchmark
        from edsr_cli.degradations.pictures import CLEAN, picture_degradation
        from edsr_cli.evaluation.evaluate import Settings
        from edsr_cli.evaluation.plot import check_plot, default_degradations, plot_gain
        from edsr_cli.evaluation.saving import refuse_conflicts
        from edsr_cli.files.names import display_name
        from edsr_cli.images import DEFAULT_MAX_PIXELS
        from edsr_cli.inference.processors import use_threads
        from edsr_cli.restoration.networks import (
            as_setting,
            find_restoration,
            make_upscaler,
            restore_label,
        )

    with terminal.log():
        use_threads(threads)
        wanted = degrade or (default_degradations() if plot else [CLEAN.name])
        if plot:
            check_plot(wanted, Path(plot), overwrite)
        if save is not None and len(wanted) > 1:
            raise UsageError("--save is for one degradation.", "Give --degrade once.")
        for dataset in datasets:
            find_benchmark(dataset)  # before the work of loading a network
        stated = Stated(layout, value_range, mean_shift, residual_scale)
        networks = _load(terminal, model, scales or [], stated, download)
        scales_used = tuple(each.scale for each in networks)
        degradations = [picture_degradation(text, scales_used) for text in dict.fromkeys(wanted)]
        sets = [
            [find_benchmark(name, degradation.lr) for name in dict.fromkeys(datasets)]
            for degradation in degradations
        ]
        folder = None if save is None else Path(save)
        if folder is not None:
            refuse_conflicts(folder, sets[0], scales_used)
        columns: Tile = tile if not tile.isdigit() else int(tile)  # type: ignore[assignment]
        pixels = max_pixels or DEFAULT_MAX_PIXELS
        settings = Settings(model, ensemble, columns, border, pixels, folder, overwrite)
        summaries = []
        for loaded in networks:
            restoration = None
            if restore != "0":
                find = finder(terminal, download)
                restoration = find_restoration(loaded, model, as_setting(restore), find)
            upscaler = make_upscaler(loaded, restoration, device, precision.value, max_memory)
            for degradation, benchmarks in zip(degradations, sets, strict=True):
                mine = replace(
                    settings,
                    model=loaded.name,
                    degrade=degradation,
                    restore=restore_label(upscaler),
                )
                summaries += [
                    _run(terminal, benchmark, upscaler, mine, as_json) for benchmark in benchmarks
                ]
        if plot:
            drawn = plot_gain(summaries, Path(plot), overwrite)
            where = f"The plot is in {display_name(Path(plot))}."
            terminal.note(where if drawn else "There is nothing to plot.")
    codes = {result.exit_code for summary in summaries for result in summary.results}
    codes.discard(ExitCode.DONE)
    code = ExitCode.SOME_FAILED if len(codes) > 1 else next(iter(codes), ExitCode.DONE)
    raise typer.Exit(code)


def _load(
    terminal: Terminal, model: str, scales: list[int], stated: "Stated", download: bool
) -> "list[LoadedNetwork]":
    """The network for each scale: those asked for, or all that the model has."""
    from edsr_cli.checkpoints import registry
    from edsr_cli.checkpoints.loader import load_network

    loaded: list[LoadedNetwork] = []
    wanted: tuple[int, ...] = tuple(scales) or registry.scales(model)
    if not wanted:
        loaded.append(load_network(model, None, stated, finder(terminal, download)))
        wanted = loaded[0].config.scales
    chosen = []
    for scale in dict.fromkeys(wanted):
        fitting = (each for each in loaded if scale in each.config.scales)
        network = next(fitting, None) or load_network(
            model, scale, stated, finder(terminal, download)
        )
        loaded.append(network)
        chosen.append(replace(network, scale=scale))
    return chosen


def _run(
    terminal: Terminal,
    benchmark: "Benchmark",
    upscaler: "Upscaler",
    settings: "Settings",
    as_json: bool,
) -> "Summary":
    """Evaluate one data set at one scale, and show what comes out."""
    from edsr_cli.evaluation.evaluate import evaluate
    from edsr_cli.evaluation.summary import summarise
    from edsr_cli.evaluation.table import make_table

    scale = upscaler.scale

    def shown(pair: "Pair") -> "AbstractContextManager[PictureProgress]":
        return terminal.progress(f"{benchmark.name} x{scale}, {pair.name}", scale**2)

    results = []
    for result in evaluate(benchmark, upscaler, settings, shown):
        interruption.check()
        results.append(result)
        _report(terminal, result)
        if as_json:
            terminal.json(result.to_dict())
    summary = summarise(benchmark, scale, settings, results)
    _remark(terminal, summary)
    if as_json:
        terminal.json(summary.to_dict())
    else:
        terminal.table(make_table(summary))
    return summary


def _report(terminal: Terminal, result: "Result") -> None:
    for remark in result.notes:
        terminal.note(remark)
    if result.error is not None:
        terminal.error(result.error)
    elif result.scores is not None:
        terminal.detail(
            f"{result.dataset} x{result.scale}, {result.picture}: PSNR Y "
            f"{result.scores.psnr_y:.3f} dB, RGB {result.scores.psnr_rgb:.3f} dB, "
            f"{result.seconds:.1f} s"
        )


def _remark(terminal: Terminal, summary: "Summary") -> None:
    """Say what stands in the way of comparing the means with published figures."""
    from edsr_cli.evaluation.published import set_size

    name, count = summary.benchmark.name, len(summary.results)
    if summary.failed and count > 1:
        terminal.error(f"{name} x{summary.scale}: {summary.failed} of {count} pictures failed.")
    if summary.benchmark.lr is not None and summary.results[0].lr == "made":
        terminal.note(f"{name} has no LR pictures for x{summary.scale}: they were made from HR.")
    size = set_size(name)
    if summary.published and size != count:
        terminal.note(f"Published figures are for all {size} pictures of {name}, not for {count}.")
