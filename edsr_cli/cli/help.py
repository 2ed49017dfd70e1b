"""Help pages for 80 columns: what is typed every day comes first, then the rest by panels.

`-h` gives the short page, `--help` the whole one. Examples are the end of a command's docstring.
"""

from collections.abc import Iterable
from shutil import get_terminal_size
from textwrap import wrap
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from edsr_cli.options.definition import EVERYDAY, PANELS, SHORT

_SHORT = "edsr.short"
_WIDTH, _LEFT = 79, 27  # columns of a page, and of what may be typed
_NARROW, _LEAST, _INDENT = 60, 30, 8  # below the first there is no room for two columns

Row = tuple[str, str]
"""What may be typed, and what it means."""


def _show_short(ctx: typer.Context, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.meta[_SHORT] = True
        typer.echo(ctx.get_help())
        raise typer.Exit


ShortHelp = Annotated[
    bool,
    typer.Option(
        "-h",
        callback=_show_short,
        is_eager=True,
        help="Show the everyday options; --help shows all of them.",
    ),
]


class Command(TyperCommand):
    """A command with a page in words."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page; see `edsr_cli.cli.help`."""
        short = ctx.meta.get(_SHORT, False)
        text, examples = _parts(self)
        panels: dict[str, list[Row]] = {panel: [] for panel in ("Arguments", *PANELS)}
        for param in self.get_params(ctx):
            panels[_panel(param)].append(_row(param))
        _write_beginning(self, ctx, formatter, text.split("\n\n")[: 1 if short else None])
        for heading, rows in panels.items():
            if rows and (not short or heading in ("Arguments", *SHORT)):
                _write_rows(formatter, heading, rows)
        formatter.write(f"\nExamples:\n{examples}\n")


class Commands(TyperGroup):
    """Commands with a page in words."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page: the commands, and what each is for."""
        _write_beginning(self, ctx, formatter, [_parts(self)[0]])
        commands = {name: _parts(command)[0] for name, command in self.commands.items()}
        rows = [(name, " ".join(text.split("\n\n")[0].split())) for name, text in commands.items()]
        _write_rows(formatter, "Commands", rows)
        _write_rows(formatter, "Options", map(_row, self.get_params(ctx)))


def _width() -> int:
    """Columns of a page on this terminal."""
    return max(_LEAST, min(_WIDTH, get_terminal_size().columns - 1))


def _parts(command: Any) -> tuple[str, str]:
    """The text of a command's docstring, and its examples, which are indented."""
    text, _, examples = (command.help or "").partition("Examples:\n")
    return text.strip(), examples.rstrip()


def _write_beginning(command: Any, ctx: Any, formatter: Any, paragraphs: list[str]) -> None:
    """Say how the command is called, and what it does."""
    formatter.write(f"Usage: {ctx.command_path} {_usage(command, ctx)}\n")
    for paragraph in paragraphs:
        formatter.write("\n" + "\n".join(wrap(" ".join(paragraph.split()), _width())) + "\n")


def _write_rows(formatter: Any, heading: str, rows: Iterable[Row]) -> None:
    """Write a panel. No word is cut, since it may be the name of something."""
    formatter.write(f"\n{heading}:\n")
    width = _width()
    column = _LEFT if width >= _NARROW else _INDENT
    for left, right in rows:
        lines = wrap(right, width - column, break_on_hyphens=False) or [""]
        if len(left) > column - 4:
            formatter.write(f"  {left}\n")
            left = ""
        for line in lines:
            formatter.write(f"  {left:<{column - 2}}{line}\n")
            left = ""


def _usage(command: Any, ctx: Any) -> str:
    if isinstance(command, TyperGroup):
        return "COMMAND ..."
    names = [
        f"{param.metavar}..." if param.required else f"[{param.metavar}...]"
        for param in command.get_params(ctx)
        if _panel(param) == "Arguments"
    ]
    return " ".join([*names, "[OPTIONS]"])


def _panel(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    return getattr(param, "rich_help_panel", None) or EVERYDAY


def _row(param: Any) -> Row:
    if param.param_type_name == "argument":
        return param.metavar, param.help
    names = sorted(param.opts, key=lambda name: name.startswith("--"))
    left = ", ".join(names) if not names[0].startswith("--") else f"    {', '.join(names)}"
    if param.secondary_opts:
        left += f" / {', '.join(param.secondary_opts)}"
    value = "" if param.is_flag or not param.metavar else f" {param.metavar}"
    return left + value, f"{param.help} Required." if param.required else param.help
