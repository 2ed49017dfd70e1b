"""The program itself: version and help."""

import re

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
