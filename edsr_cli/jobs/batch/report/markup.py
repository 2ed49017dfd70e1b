"""Pieces of HTML, safe whatever the names of files are."""

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from edsr_cli.text import one_line


def shown(text: str) -> str:
    """Text for a page: in one line, control characters and surrogates spelled out, escaped."""
    return escape(one_line(text))


def path(name: str) -> str:
    """A path, in the type of code."""
    return f'<span class="path">{shown(name)}</span>'


def link(target: Path, folder: Path, name: Path) -> str:
    """A path that leads to its file, as long as page and file are moved together.

    Args:
        target: the file.
        folder: where the page is.
        name: what to show.
    """
    try:
        relative = os.path.relpath(target, folder)
    except ValueError:  # on another drive
        return path(str(name))
    # "./", so that nothing in a name is taken for the scheme of an address.
    address = "./" + quote(os.fsencode(relative.replace(os.sep, "/")))
    return f'<a class="path" href="{escape(address)}">{shown(str(name))}</a>'


def tile(name: str, value: str, look: str = "") -> str:
    """One of the figures at the top."""
    return f'<div class="card {look}"><dt>{name}</dt><dd>{value}</dd></div>\n'


def table(
    rows: Iterable[Sequence[str]], looks: Sequence[str], heads: Sequence[str] = ()
) -> Iterable[str]:
    """A table, piece by piece.

    Args:
        rows: cells that are HTML already.
        looks: a class for each column; "" for none. A column of class "name" has names of rows.
        heads: names of the columns.
    """
    yield '<div class="card table"><table>\n'
    if heads:
        yield f"<thead>{_row(heads, looks, 'th')}</thead>\n"
    for cells in rows:
        yield _row(cells, looks, "td") + "\n"
    yield "</table></div>\n"


def _row(cells: Sequence[str], looks: Sequence[str], kind: str) -> str:
    def cell(content: str, look: str) -> str:
        if look == "name":
            return f'<th scope="row">{content}</th>' if kind == "td" else f"<th>{content}</th>"
        return (
            f'<{kind} class="{look}">{content}</{kind}>' if look else f"<{kind}>{content}</{kind}>"
        )

    return f"<tr>{''.join(map(cell, cells, looks))}</tr>"
