"""Groups of options: what they check, and the functions and commands that are made from them."""

import inspect
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edsr_cli.cli.app import application
from edsr_cli.cli.options import OptionsCommand, command
from edsr_cli.errors import UsageError
from edsr_cli.options import values
from edsr_cli.options.comparing import CompareOptions
from edsr_cli.options.definition import MACHINE, PANELS, again, group, option, options_of, takes
from edsr_cli.options.evaluating import EvaluateOptions
from edsr_cli.options.folders import BatchOptions
from edsr_cli.options.network import LoadOptions
from edsr_cli.options.pictures import Outputs, UpscaleOptions
from edsr_cli.options.training import TrainOptions

GROUPS = [UpscaleOptions, BatchOptions, EvaluateOptions, LoadOptions, TrainOptions]


@group
class Sharpened(UpscaleOptions):
    """An option more: all that it takes to have it everywhere."""

    sharpen: float = option(
        values.NUMBER, "--sharpen", "X", "How much to sharpen.", panel=MACHINE, default=0.5
    )
    scale: int | None = again(UpscaleOptions, "scale", default=3)


def test_an_option_is_a_keyword_and_on_the_command_line():
    @takes(Sharpened)
    def function(options: Sharpened) -> Sharpened:
        """Do it.

        Returns:
            The options.
        """
        return options

    assert function("a.png", sharpen=2).sharpen == 2
    signature = inspect.signature(function)
    assert signature.parameters["sharpen"].default == 0.5
    assert signature.parameters["max_memory"].annotation == int | str | None
    assert "    sharpen: How much to sharpen." in function.__doc__
    assert function.__doc__.startswith("Do it.\n\nArgs:\n    inputs: ")

    seen = []

    @command(Sharpened)
    def shown(options: Sharpened) -> None:
        """Do it.

        Examples:
          edsr shown a.png
        """
        seen.append(options)

    app = typer.Typer()
    app.command(cls=OptionsCommand, context_settings={"help_option_names": ["--help"]})(shown)
    run = CliRunner().invoke(app, ["a.png", "--sharpen", "0.25", "-x", "--max-memory", "2K"])
    assert run.exit_code == 0, run.output
    assert seen == [Sharpened("a.png", sharpen=0.25, ensemble=True, max_memory=2000)]
    assert seen[0].scale == 3
    page = CliRunner().invoke(app, ["--help"]).output
    assert "--sharpen X " in page and "How much to sharpen." in page
    assert "--sharpen" not in CliRunner().invoke(app, ["-h"]).output


@pytest.mark.parametrize("inputs", [["a b.png", "c.png"], ["-a.png", "c.png"]])
def test_the_words_of_options_give_them_again(inputs):
    given = {
        "output": "p.html", "device": "cpu", "threads": 1, "model": ["m.pt", "none"],
        "layout": "official", "value_range": 1.0, "mean_shift": False, "residual_scale": 0.1,
        "scale": 2, "restore": [0, 1e-5, np.float32(0.5), "auto"], "download": True,
        "precision": "fp32", "engine": "torch", "max_memory": "1.5G", "ensemble": True, "tile": 64,
        "max_pixels": "800M", "beside": ["nearest", "d.png"], "reference": ["e.png", "f.png"],
        "crop": ["1x2+3+4", "5x6+7+8"], "sheet": "s.png", "max_embed": "1k", "overwrite": True,
    }  # fmt: skip
    flagged = {name for name, each in options_of(CompareOptions).items() if each.flags}
    assert set(given) == flagged
    seen = []

    @command(CompareOptions)
    def shown(options: CompareOptions) -> None:
        """Do it.

        Examples:
          edsr shown a.png
        """
        seen.append(options)

    options = CompareOptions(inputs, progress=print, **given)
    app = typer.Typer()
    app.command(cls=OptionsCommand)(shown)
    run = CliRunner().invoke(app, options.words())
    assert run.exit_code == 0, run.output
    assert seen == [CompareOptions(inputs, **given)]
    assert CompareOptions("a.png").words() == ["a.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (UpscaleOptions("a", fit=(30, 40)), ["--fit", "30x40"]),
        (UpscaleOptions("a", print="12.5x8in", dpi=300), ["--print", "12.5x8in --dpi 300"]),
        (UpscaleOptions("a", scale=1.5, depth=8, strip="gps"), ["-s", "1.5", "--depth", "8"]),
        (TrainOptions("a", "b", betas=(0.5, 0.9)), ["--betas", "0.5,0.9"]),
        (LoadOptions("m.pt", residual_scale=1e-12), ["--residual-scale", "1e-12"]),
        (LoadOptions("m.pt", mean_shift=True), ["-m", "m.pt", "--mean-shift"]),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else None,
)
def test_words_of_single_options(options, words):
    given = options.words()
    assert words[0] in given and words[-1] in " ".join(given)
    for name, each in options_of(type(options)).items():
        value = getattr(options, name)
        if each.kind.read is not None and not each.kind.several and value is not None:
            assert each.read(each.kind.write(value)) == value


@pytest.mark.parametrize("options", GROUPS)
def test_every_option_is_explained(options):
    flags = [flag for each in options_of(options).values() for flag in (each.flags or "").split()]
    assert len(flags) == len(set(flags))
    for name, each in options_of(options).items():
        assert each.text.endswith(".") and each.panel in PANELS
        # The keyword is the long name.
        if each.flags:
            names = [flag.split("/")[0] for flag in each.flags.split()]
            assert f"--{name.replace('_', '-')}" in names


def test_values_are_made_right():
    options = BatchOptions("in", include="*.jpg", max_memory="1K", tile="64", alpha="white")
    assert (options.inputs, options.include, options.max_memory) == (("in",), ("*.jpg",), 1000)
    assert (options.tile, options.alpha) == (64, "#ffffff")
    training = TrainOptions("in", "out", max_time="1m", schedule="cosine", betas=[0.5, 0.9])
    assert (training.max_time, training.betas) == (60.0, (0.5, 0.9))
    assert training.schedule.value == "cosine" and training.preset.value == "edsr-baseline"
    assert EvaluateOptions("a", scale=[2, 3]).scale == (2, 3)
    assert EvaluateOptions("a", scale=2).scale == (2,)
    with pytest.raises(FrozenInstanceError):
        options.scale = 3


@pytest.mark.parametrize(
    ("flag", "text", "words"),
    [
        ("--compression", "10", "10 is not from 0 to 9."),
        ("--compression", "most", "'most' is not a whole number."),
        ("--workers", "0", "0 is not at least 1."),
        ("--depth", "12", "'12' is not one of 'auto', '8', '16'."),
        ("--precision", "", "'' is not one of 'auto', 'fp32', 'bf16', 'fp16'."),
        ("--tile", "wide", "'wide' is not auto, none or"),
    ],
)
def test_what_is_no_value_on_the_command_line_is_refused_with_the_text(flag, text, words):
    run = CliRunner().invoke(application(["batch"]), ["batch", "in", flag, text])
    assert run.exit_code == 2
    text = " ".join(run.output.replace("│", " ").split())
    assert "Invalid value for " in text and f"'{flag}': {words}" in text


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"scale": "2"}, TypeError, "scale must be a number or None, not str"),
        ({"compression": 10}, ValueError, "compression must be from 0 to 9, not 10"),
        ({"workers": 0}, ValueError, "workers must be at least 1, not 0"),
        ({"include": [1]}, TypeError, "include must be a string, not int"),
        ({"overwrite": None}, TypeError, "overwrite must be something other than None"),
        ({"tile": 0}, ValueError, "tile must be at least 1, not 0"),
        ({"tile": "wide"}, ValueError, "tile: 'wide' is not auto, none or"),
        ({"max_pixels": "many"}, ValueError, "max_pixels: 'many' is not a number of pixels"),
        ({"output": 1}, TypeError, "output must be a name or a path, not int"),
        ({"progress": 1}, TypeError, "progress must be callable or None, not int"),
        ({"sharpen": 1}, TypeError, "unexpected keyword argument 'sharpen'"),
    ],
)
def test_what_is_no_value_is_refused_by_name(given, error, words):
    with pytest.raises(error, match=words):
        BatchOptions("in", **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"schedule": "sine"}, "schedule must be one of 'step', 'cosine', not 'sine'"),
        ({"betas": (0.9, 1)}, "betas must be two numbers from 0 to below 1"),
        ({"betas": 0.9}, "betas must be two numbers"),
        ({"max_time": "soon"}, "max_time: 'soon' is not a duration"),
        ({"shrink": 9}, "shrink must be from 1 to 8, not 9"),
    ],
)
def test_what_is_no_value_of_a_training_is_refused_by_name(given, words):
    with pytest.raises(ValueError, match=words):
        TrainOptions("in", "out", **given)


def test_a_group_gives_a_part_of_itself():
    options = BatchOptions("in", tile=64, alpha="white", progress=print, each=print)
    assert options.part(Outputs, progress=None) == Outputs(tile=64, alpha="#ffffff")


def test_options_that_exclude_each_other():
    with pytest.raises(UsageError, match="--watch and --dry-run"):
        BatchOptions("in", watch=True, dry_run=True)
    with pytest.raises(UsageError, match="--resume and --overwrite"):
        TrainOptions("in", "out", resume=True, overwrite=True)
