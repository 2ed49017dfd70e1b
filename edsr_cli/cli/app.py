"""The application: its commands, and what holds for all of them."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import PurePath
from typing import Annotated, Any, NoReturn

import typer

from edsr_cli import __version__
from edsr_cli.cli import interruption
from edsr_cli.cli.forgiving import forgiving_stderr
from edsr_cli.cli.help import Commands
from edsr_cli.cli.options import OptionsCommand, read_values
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import EdsrError, ExitCode, ThreadError, UsageError
from edsr_cli.text import did_you_mean, one_line


class _Commands(Commands):
    """The commands; a picture or folder in the place of one is answered with what was meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if not args and not ctx.resilient_parsing:  # Typer would say nothing, without its own page
            typer.echo(ctx.get_help())
            raise typer.Exit(ExitCode.USAGE)
        read_values(self.get_params(ctx), {})
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0] if args else ""
        if word and not word.startswith("-") and self.get_command(ctx, word) is None:
            raise UsageError(
                f"There is no command {word!r}.", _meant(word, self.list_commands(ctx))
            )
        return super().resolve_command(ctx, args)


def _meant(word: str, commands: list[str]) -> str:
    shown = one_line(word)
    if os.path.isdir(word):
        return f"To enlarge all pictures in the folder: edsr batch {shown}"
    if os.path.lexists(word) or PurePath(word).suffix or set(word) & set("*?/\\"):
        return f"To enlarge a picture: edsr upscale {shown}"
    return f"{did_you_mean(word, commands)} Commands: {', '.join(commands)}.".lstrip()


COMMANDS = (
    "upscale",
    "batch",
    "compare",
    "evaluate",
    "train",
    "models",
    "devices",
    "fetch-weights",
)
"""Each is a function of its name, in a module of its name."""


def application(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The application with some of its commands; every one takes a while to put together."""
    made = typer.Typer(
        name="edsr",
        cls=_Commands,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_common)
    for name in names:
        attribute = name.replace("-", "_")
        function = getattr(import_module(f"edsr_cli.cli.{attribute}"), attribute)
        settings = {"help_option_names": ["--help"]}
        made.command(name, cls=OptionsCommand, context_settings=settings)(function)
    return made


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edsr {__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Enlarge pictures with EDSR and MDSR, sharply and exactly."""


def app() -> None:
    """Run the command that the arguments name; all are there if they name none."""
    first = sys.argv[1:2]
    application(first if first and first[0] in COMMANDS else COMMANDS)()


def main() -> NoReturn:
    """Run the command line and exit with a code of `ExitCode`, or 128 and more for a signal.

    Whoever calls it watches for signals, and holds them.
    """
    with forgiving_stderr():
        _main()


def _main() -> NoReturn:
    try:
        interruption.let_go()
        try:
            app()
        except RuntimeError as error:
            if not ThreadError.is_behind(error):
                raise
            raise ThreadError from error
    except EdsrError as error:
        Terminal().error(str(error))
        sys.exit(error.exit_code)
    except interruption.StoppedError as stopped:
        interruption.ignore()
        Terminal().error(str(stopped))
        sys.exit(stopped.exit_code)
    except BrokenPipeError:  # whoever read our output has gone; there is nobody to tell
        sys.stdout = None  # or the interpreter would flush it, and complain
        sys.exit(ExitCode.SOME_FAILED)
    sys.exit(ExitCode.DONE)
