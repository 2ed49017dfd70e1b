"""From groups of options to commands."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING
from typing import Annotated, Any

import typer

from edsr_cli.cli.help import ShortHelp
from edsr_cli.options import values
from edsr_cli.options.definition import (
    MESSAGES,
    Option,
    Options,
    default_of,
    group,
    option,
    options_of,
)

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


@group
class Messages(Options):
    """What is said on standard error."""

    quiet: bool = option(
        values.FLAG, "-q --quiet", "", "Print errors only.", panel=MESSAGES, default=False
    )
    verbose: bool = option(
        values.FLAG, "-v --verbose", "", "Print details.", panel=MESSAGES, default=False
    )


@group
class Results(Messages):
    """What is said on standard output, too."""

    json: bool = option(
        values.FLAG,
        "--json",
        "",
        "Print one JSON object per file on stdout.",
        panel=MESSAGES,
        default=False,
    )


def command(
    *groups: type[Options],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function that takes groups of options a command that takes their options.

    Typer reads signatures, so this makes one. What the user leaves out is left to the groups.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            made = []
            for each in groups:
                named = {name: given[name] for name in _shown(each)}
                made.append(each(**{n: v for n, v in named.items() if v not in (None, [])}))
            function(*made)

        parameters = [
            _parameter(name, each, default_of(options, name))
            for options in groups
            for name, each in _shown(options).items()
        ]
        parameters.append(inspect.Parameter("short", _KEYWORD, default=False, annotation=ShortHelp))
        run.__doc__ = function.__doc__
        vars(run)["__signature__"] = inspect.Signature(parameters)
        return run

    return decorate


def _shown(options: type[Options]) -> dict[str, Option]:
    """The options of a group that can be given on a command line, by name."""
    return {n: each for n, each in options_of(options).items() if each.flags is not None}


def _parameter(name: str, each: Option, default: Any) -> inspect.Parameter:
    """A parameter that Typer understands."""
    kind = each.kind
    text = each.text
    if isinstance(default, str) and "Default:" not in text:
        text += f" Default: {default}."
    described: dict[str, Any] = {"help": text, "show_default": False}
    if kind.type is not bool:
        described |= {"metavar": each.metavar}
    if kind.type is int:
        described |= {"min": each.least, "max": each.most}
    if kind.read is not None:
        described |= {"parser": _parser(kind.read)}
    made = (
        typer.Option(*(each.flags or "").split(), rich_help_panel=each.panel, **described)
        if each.flags
        else typer.Argument(**described)
    )
    # What a reader makes of text is nobody's business but ours.
    wanted = list[str] if kind.several else kind.type
    # Whether it was given is seen from None, and what is not given has the group's default.
    absent = inspect.Parameter.empty if default is MISSING else None
    if wanted is bool and default is not None:
        absent = default
    elif absent is None:
        wanted = wanted | None
    return inspect.Parameter(name, _KEYWORD, default=absent, annotation=Annotated[wanted, made])


def _parser(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader whose errors Typer shows as they are."""

    def parse(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse
