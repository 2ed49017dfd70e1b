"""The program itself: version and help."""

import re

import pytest

from edsr_cli import __version__


def test_version_and_help(edsr):
    run = edsr("--version")
    assert (run.code, run.out, run.err) == (0, f"edsr {__version__}\n".encode(), "")
    for arguments in (["--help"], ["-h"], ["upscale", "--help"], ["upscale", "-h"]):
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

    text = re.sub(r"[│\s]+", " ", edsr("upscale", "--help").out.decode())
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
