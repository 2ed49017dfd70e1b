"""The application: its commands, and what holds for all of them."""

import sys
from typing import Annotated, NoReturn

import typer

from edsr_cli import __version__
from edsr_cli.cli import batch, evaluate, fetch_weights, interruption, models, train, upscale
from edsr_cli.cli.forgiving import forgiving_stderr
from edsr_cli.cli.terminal import Terminal
from edsr_cli.errors import EdsrError, ExitCode, ThreadError

app = typer.Typer(
    name="edsr",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("upscale")(upscale.command)
app.command("batch")(batch.command)
app.command("evaluate")(evaluate.command)
app.command("train")(train.command)
app.command("models")(models.command)
app.command("fetch-weights")(fetch_weights.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edsr {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Enlarge pictures with EDSR and MDSR, sharply and exactly."""


def main() -> NoReturn:
    """Run the command line and exit with a code of `ExitCode`, or 128 and more for a signal."""
    with forgiving_stderr():
        _main()


def _main() -> NoReturn:
    interruption.watch()
    try:
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
