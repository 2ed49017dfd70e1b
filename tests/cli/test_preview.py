"""`edsr upscale --preview`: what comes to a terminal, and to which."""

import base64
import io
import re
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from edsr_cli.cli import preview
from edsr_cli.cli.preview import iterm, kitty, way_for
from edsr_cli.jobs.record import Record, Status
from edsr_cli.report.before_after import before_after_png
from tests.cli.conftest import PIXELS, on_terminal

TERMINALS = [
    ({"TERM": "xterm-kitty"}, kitty),
    ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, kitty),
    ({"TERM": "xterm-ghostty"}, kitty),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, kitty),
    ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230804"}, kitty),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, iterm),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, iterm),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "mintty"}, iterm),
    ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, iterm),
    ({"TERM": "xterm-256color"}, None),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, None),
    ({"TERM": "xterm-kitty", "CI": "true"}, None),
    ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, None),
    ({"TERM": "screen-256color", "LC_TERMINAL": "iTerm2"}, None),
]


def console(terminal: bool = True, dumb: bool = False) -> Console:
    made = Console(file=io.StringIO(), force_terminal=terminal)
    made._environ = {"TERM": "dumb" if dumb else "xterm"}
    return made


@pytest.mark.parametrize(("environ", "way"), TERMINALS)
def test_terminals_are_known_by_their_environment(environ: dict[str, str], way: object) -> None:
    assert way_for(console(), environ) is way
    assert way_for(console(terminal=False), environ) is None
    assert way_for(console(dumb=True), environ) is None


class Asked(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("best", "terminal", "shown"),
    [("sixel", True, True), ("cells", True, False), ("sixel", False, False)],
)
def test_sixel_is_shown_by_a_library(
    monkeypatch: pytest.MonkeyPatch, best: str, terminal: bool, shown: bool
) -> None:
    """Where it is installed, and finds that the terminal can."""
    library: Any = ModuleType("textual_image.renderable")
    library.SixelImage = lambda file: f"sixel: {file.read().decode()}"
    library.Image = library.SixelImage if best == "sixel" else None
    monkeypatch.setitem(sys.modules, "textual_image", ModuleType("textual_image"))
    monkeypatch.setitem(sys.modules, "textual_image.renderable", library)
    for name in ("__stdin__", "__stdout__"):
        monkeypatch.setattr(preview.sys, name, Asked() if terminal else io.StringIO())
    where = console()
    way = way_for(where, {"TERM": "xterm-256color"})
    assert (way is not None) == shown
    if way is not None:
        way(where, b"data")
        assert where.file.getvalue() == "sixel: data\n"  # type: ignore[attr-defined]


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


def colours(image: Image.Image) -> set[bytes]:
    return {bytes(each) for each in np.asarray(image.convert("RGB")).reshape(-1, 3)}


def test_a_picture_is_shown_in_kitty(model: Any, photo: Any) -> None:
    run = on_terminal(
        "upscale", photo.name, "-m", model, "-d", "cpu", "--preview",
        cwd=photo.absolute().parent, env={"TERM": "xterm-kitty", "CI": ""},
    )  # fmt: skip
    assert run.code == 0
    pieces = re.findall(r"\x1b_G(a=T,f=100,q=2,)?m=([01]);([^\x1b]*)\x1b\\", run.err)
    assert all(len(data) <= 4096 for _, _, data in pieces)
    assert [bool(first) for first, _, _ in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [more for _, more, _ in pieces] == ["1"] * (len(pieces) - 1) + ["0"]
    image = opened("".join(data for _, _, data in pieces))
    assert colours(image) >= {bytes(each) for each in PIXELS.reshape(-1, 3)}
    assert image.width > 400 > image.height > 100  # two parts side by side


def test_a_picture_is_shown_in_iterm(model: Any, photo: Any) -> None:
    run = on_terminal(
        "upscale", photo.name, "-m", model, "-d", "cpu", "--preview",
        cwd=photo.absolute().parent, env={"TERM_PROGRAM": "iTerm.app", "CI": ""},
    )  # fmt: skip
    [(size, data)] = re.findall(r"\x1b\]1337;File=inline=1;size=(\d+):([^\a]*)\a", run.err)
    assert len(base64.b64decode(data)) == int(size) and opened(data).width > 400


@pytest.mark.parametrize(
    ("more", "env"),
    [
        ((), {}),
        ((), {"TERM": "dumb", "KITTY_WINDOW_ID": "1"}),
        (("-q",), {"TERM": "xterm-kitty"}),
        (("--dry-run",), {"TERM": "xterm-kitty"}),
    ],
)
def test_other_terminals_get_no_picture(
    model: Any, photo: Any, more: tuple[str, ...], env: dict[str, str]
) -> None:
    arguments = ("upscale", photo.name, "-m", model, "-d", "cpu", "--preview", *more)
    run = on_terminal(*arguments, cwd=photo.absolute().parent, env={"CI": ""} | env)
    assert run.code == 0 and "\x1b_G" not in run.err and "1337" not in run.err
    assert ("not known to show pictures" in run.err) == (not more)


def test_what_is_no_terminal_gets_none(upscale: Any, photo: Any) -> None:
    run = upscale(photo, "--preview")
    assert run.code == 0 and run.err.count("not known to show pictures") == 1


def test_of_a_large_picture_it_is_the_part_that_differs_most(tmp_path: Any) -> None:
    small = np.full((200, 300, 3), 90, np.uint8)
    large = small.repeat(2, 0).repeat(2, 1)
    large[350:, 500:] = (7, 8, 9)
    for name, pixels in (("a.png", small), ("b.png", large)):
        Image.fromarray(pixels).save(tmp_path / name)
    paths = (str(tmp_path / name) for name in ("a.png", "b.png"))
    png = before_after_png(Record(*paths, Status.DONE, output_size=(600, 400)))
    assert png is not None
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert (pixels == (7, 8, 9)).all(axis=2).sum() == 50 * 100  # at one side only
