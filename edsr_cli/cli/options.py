"""From groups of options to commands."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import Annotated, Any

import typer

from edsr_cli.cli.help import Command, ShortHelp
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


class OptionsCommand(Command):
    """A command whose options read their values themselves."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        read_values(self.get_params(ctx), vars(self.callback)["options"])
        return super().parse_args(ctx, args)


def read_values(params: Sequence[Any], options: Mapping[str, Option]) -> None:
    """Have parameters of Typer's read by options of the same name, and not at all if not given.

    Typer would import pydantic for both, which takes a fifth of a short command's time.
    """
    for param in params:
        vars(param).setdefault("process_value", _reader(param, options.get(param.name)))


def _reader(param: Any, option: Option | None) -> Callable[[Any, Any], Any]:
    """How a parameter makes a value of what is on the command line."""
    typers_own = param.process_value

    def read(ctx: Any, given: Any) -> Any:
        is_there = given not in (None, False, (), [])
        if not is_there and not param.required:
            return given
        if option is None or not is_there or given is True:
            return typers_own(ctx, given)
        try:
            several = option.kind.several
            return [option.read(each) for each in given] if several else option.read(given)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx, param) from None

    return read


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
        vars(run)["options"] = {n: each for group in groups for n, each in _shown(group).items()}
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
