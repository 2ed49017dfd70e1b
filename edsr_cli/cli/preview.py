"""Pictures in a terminal, where it can show them: Kitty's, iTerm2's and DEC's (sixel) ways.

Whether it can is told by its environment, as terminals set it. None is asked, since an answer that
comes late would be taken for what the user types. Only where nothing is told, textual-image, if it
is installed, asks for sixel, on a terminal that is both read from and written to.
"""

import base64
import io
import os
import sys
from collections.abc import Callable, Mapping

from rich.console import Console

_CHUNK = 4096  # the longest piece that Kitty takes

Show = Callable[[Console, bytes], None]
"""Shows a picture, given as PNG, in lines of its own."""


def way_for(console: Console, environ: Mapping[str, str] = os.environ) -> Show | None:
    """How to show pictures on a console; None where that is not possible, or not known to be."""
    if not console.is_terminal or console.is_dumb_terminal or environ.get("CI"):
        return None
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if "TMUX" in environ or term.startswith(("tmux", "screen")):
        return None  # which hands on nothing that it does not know, unless it is told to
    if "KITTY_WINDOW_ID" in environ or term in ("xterm-kitty", "xterm-ghostty"):
        return kitty
    if program == "ghostty" or "KONSOLE_VERSION" in environ:
        return kitty
    if program in ("iTerm.app", "WezTerm", "mintty") or environ.get("LC_TERMINAL") == "iTerm2":
        return iterm
    return _sixel_if_known()


def kitty(console: Console, png: bytes) -> None:
    """Kitty's graphics protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol."""
    data = base64.standard_b64encode(png).decode("ascii")
    pieces = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    for number, piece in enumerate(pieces):
        first = "a=T,f=100,q=2," if number == 0 else ""  # q=2: it is not to answer
        more = int(number < len(pieces) - 1)
        console.file.write(f"\x1b_G{first}m={more};{piece}\x1b\\")
    console.file.write("\n")
    console.file.flush()


def iterm(console: Console, png: bytes) -> None:
    """iTerm2's inline images: https://iterm2.com/documentation-images.html."""
    data = base64.standard_b64encode(png).decode("ascii")
    console.file.write(f"\x1b]1337;File=inline=1;size={len(png)}:{data}\a\n")
    console.file.flush()


def _sixel_if_known() -> Show | None:
    streams = sys.__stdin__, sys.__stdout__
    if not all(stream is not None and stream.isatty() for stream in streams):
        return None
    try:
        from textual_image.renderable import Image as Best  # asks the terminal
        from textual_image.renderable import SixelImage
    except ImportError:
        return None
    if Best is not SixelImage:
        return None
    return lambda console, png: console.print(SixelImage(io.BytesIO(png)))
