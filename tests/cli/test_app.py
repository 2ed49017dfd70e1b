"""The program itself: version and help."""

import os
import re
import shlex

import pytest
import typer
from typer.testing import CliRunner

from edsr_cli import __version__
from edsr_cli.cli.app import application


def test_version_and_help(edsr):
    run = edsr("--version")
    assert (run.code, run.out, run.err) == (0, f"edsr {__version__}\n".encode(), "")
    for arguments in (["--help"], ["-h"], ["upscale", "-h"], ["upscale", "--help"]):
        run = edsr(*arguments)
        assert run.code == 0 and run.err == "" and b"Usage" in run.out
    assert b"INPUT......" not in run.out
    for option in ("--output", "--scale", "--model", "--ensemble", "--tile", "--max-memory",
                   "--device", "--precision", "--format", "--overwrite", "--dry-run", "--json",
                   "--quiet", "--verbose", "--max-pixels"):  # fmt: skip
        assert option.encode() in run.out
    assert edsr("nonsense").code == 2
    assert edsr().code == 2


def test_the_help_states_the_true_limits(edsr):
    from edsr_cli.images import DEFAULT_MAX_PIXELS

    text = re.sub(r"\s+", " ", edsr("upscale", "--help").out.decode())
    assert f"Default: {DEFAULT_MAX_PIXELS // 10**6}M" in text


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("photo.jpg", "edsr upscale photo.jpg"),
        ("photo", "edsr upscale photo"),  # it exists
        ("*.png", "edsr upscale *.png"),
        ("folder", "edsr batch folder"),
        ("two\nlines.png", r"edsr upscale two\nlines.png"),
        ("upscal", "Did you mean upscale?"),
        ("something", "Commands: upscale, batch"),
    ],
)
def test_what_is_no_command_is_answered_with_what_was_meant(
    edsr, tmp_path, monkeypatch, word, answer
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "photo").touch()
    run = edsr(word, "-s", "2")
    assert run.code == 2 and run.out == b"" and len(run.lines) == 1
    assert answer in run.err and "There is no command" in run.err


COMMANDS = ("upscale", "batch", "evaluate", "train", "models", "fetch-weights")


def page(command, option="--help"):
    """A help page as a terminal of 80 columns shows it."""
    run = CliRunner().invoke(
        application(),
        [*command, option],
        env={"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1"},
    )
    assert run.exit_code == 0
    return run.output


def options_on(text):
    return set(re.findall(r"--?[a-z][a-z-]*", text.split("Examples:")[0]))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_in_words_and_has_examples(command, option):
    text = page([command], option)
    assert not re.search(r"<[a-zA-Z|]+(\[.*?\])?>", text), text
    assert "None" not in text and "[default" not in text and "…" not in text
    assert max(map(len, text.splitlines())) < 80
    whole = options_on(page([command]))
    examples = re.findall(r"^  (edsr (?:.*\\\n)?.*)", text.split("Examples:")[1], re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        program, name, *arguments = shlex.split(example)
        assert program == "edsr" and name in COMMANDS
        if name == command:
            assert {each for each in arguments if each.startswith("-")} <= whole, example


@pytest.mark.parametrize("command", ["upscale", "batch", "evaluate", "train"])
def test_the_short_page_has_the_everyday_options(command):
    short, whole = page([command], "-h"), page([command])
    assert options_on(short) < options_on(whole)
    assert len(short.splitlines()) < 0.7 * len(whole.splitlines())
    assert {"--output" if command != "evaluate" else "--save", "--scale"} < options_on(short)
    assert "Exit codes" in whole and "Exit codes" not in short


def test_every_option_is_on_the_page_with_its_default():
    for command in COMMANDS:
        text = page([command])
        for param in app_command(command).params:
            if param.param_type_name == "option":
                assert {*param.opts, *param.secondary_opts} <= options_on(text)
    text = " ".join(page(["upscale"]).split())
    assert "A model's name, or a file with weights. Default: edsr-free." in text
    assert text.count("Default: auto") >= 3


def app_command(name):
    return typer.main.get_command(application()).commands[name]


def test_help_of_the_whole_is_in_words():
    assert "<" not in page([]) and "upscale" in page([])


@pytest.mark.parametrize("command", ["upscale", "batch", "evaluate"])
def test_everyday_options_come_first(command):
    text = page([command])
    everyday = ["--scale", "--model", "--overwrite"]
    rare = ["--threads", "--tile", "--layout", "--residual-scale"]
    assert max(map(text.index, everyday)) < min(map(text.index, rare))
    assert text.index("--tile") < text.index("--layout")


def test_the_learning_rate_is_found_by_both_names():
    assert "--lr, --learning-rate X" in page(["train"])


def test_no_command_at_all_is_answered_with_the_page(edsr):
    done = edsr()
    assert done.code == 2 and done.out == edsr("--help").out


@pytest.mark.parametrize("columns", [32, 40, 60])
def test_a_page_fits_a_narrow_terminal(edsr, monkeypatch, columns):
    monkeypatch.setattr(
        "edsr_cli.cli.help.get_terminal_size", lambda: os.terminal_size((columns, 24))
    )
    text = edsr("models", "--help").out.decode().partition("Examples:")[0]
    assert 0 < max(map(len, text.splitlines()[1:])) < columns
