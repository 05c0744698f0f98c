"""The program: all commands, and how the command line is run."""

import logging
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from cli import COULD_NOT_TELL, program
from cli.alert import test_alert
from cli.check import check
from cli.command import help_text
from cli.demo import demo
from cli.device import device
from cli.doctor import doctor
from cli.history import history
from cli.report import report
from cli.runs import runs
from cli.status import status
from cli.trigger import trigger
from shared import __version__
from shared.text import bounded

COMMANDS = (status, check, history, runs, report, device, doctor, trigger, test_alert, demo)
"""In the order of the help."""


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"ADE Token Monitor {__version__}")
        raise typer.Exit


def options(
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Show what ADE Token Monitor knows of your tokens, and whether the monitor works.

    `check` reads your tenant with your own sign-in, and needs nothing else. The other commands read the tables of a
    deployed monitor, signed in with `az login`. They find the tables by --tables-endpoint, the variable
    TABLES_ENDPOINT, or the azd environment of the current folder.

    For example:
      python -m cli status
      python -m cli check
      python -m cli history "Contoso Retail"
      python -m cli COMMAND --help

    Exit codes:
      0  everything is healthy, or the command did its work
      1  warnings
      2  critical or unknown
      3  the command could not do its work: no data, data older than three hours, no access, a mistyped option
    """


app = typer.Typer(
    name=program(),
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(help=help_text(options))(options)
for one in COMMANDS:
    app.command(one.__name__.replace("_", "-"), help=help_text(one))(one)


def _is_text(argument: str) -> bool:
    """Return whether an argument can be encoded; Python puts lone surrogates in place of bytes that are not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    # The commands print what fails themselves; without a handler, Python would print what libraries log of it.
    logging.getLogger().addHandler(logging.NullHandler())
    for number, argument in enumerate(sys.argv[1:] if arguments is None else arguments, 1):
        if not _is_text(argument):
            typer.echo(f"Argument {number} is not text: {bounded(argument, 80)!r}. Expected: UTF-8.", err=True)
            return COULD_NOT_TELL
    try:
        code = app(arguments, standalone_mode=False)
    except TyperException as error:
        message, context = error.format_message(), getattr(error, "ctx", None)
        path = context.command_path if context else app.info.name
        hint = "" if message.startswith("Usage:") else f"\nSee {path} --help"
        typer.echo(f"{message}{hint}", err=True)
        return COULD_NOT_TELL
    return code if isinstance(code, int) else 0
