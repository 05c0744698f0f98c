"""The program: its commands' common options, and how an error becomes a line and an exit code."""

import functools
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any, Concatenate

import typer
from rich.text import Text
from typer.exceptions import TyperException

from cli import COULD_NOT_TELL, CommandError, lacking
from cli.places import ABOUT, option
from cli.session import Session
from shared import __version__
from shared.text import bounded


def kept(text: str) -> str:
    """Help whose indented lines stay lines: Typer would fill them."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(f"\b\n{one}" if "\n  " in one else one for one in paragraphs)


app = typer.Typer(
    name="python -m cli",
    help=kept("""Commands of ADE Token Monitor: what the monitor knows, and how it does.

    They read the monitor's tables with your own sign-in (az login). Where these are, is said by --tables-endpoint, the
    variable TABLES_ENDPOINT, or the azd environment of the folder you are in.

    For example:
      python -m cli status
      python -m cli history "Contoso Retail"
      python -m cli COMMAND --help

    Exit codes:
      0  well; of a command that judges nothing: done
      1  warnings
      2  critical or unknown
      3  could not tell: no data, data older than three hours, no access, a mistyped option
    """),
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"ADE Token Monitor {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""


def _common(
    *,
    tables_endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The tables' address. Else: the variable TABLES_ENDPOINT, then azd's."),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env", "-e", metavar="NAME", help="azd's environment. Else: AZURE_ENV_NAME, then azd's default."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
) -> Session:
    """Make a session of the options that every command takes."""
    return Session(given={"TABLES_ENDPOINT": tables_endpoint}, environment=env, quiet=quiet, debug=debug)


type Work[**P] = Callable[Concatenate[Session, P], int]


def command_with[**P](*places: str) -> Callable[[Work[P]], Work[P]]:
    """Make a command as `command` does, which takes options for these places, too."""

    def decorated(function: Work[P]) -> Work[P]:
        own = list(inspect.signature(function).parameters.values())[1:]
        also = [_place_option(name) for name in places]
        common = list(inspect.signature(_common).parameters.values())

        def run(**given: Any) -> None:  # noqa: ANN401 # what the options are
            named = {place: given.pop(parameter.name) for place, parameter in zip(places, also, strict=True)}
            session = _common(**{parameter.name: given.pop(parameter.name) for parameter in common})
            session.given.update(named)
            raise typer.Exit(guarded(session, functools.partial(function, session, **given)))

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *also, *common)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # this is how Typer is told
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(function.__name__.replace("_", "-"), help=kept(function.__doc__ or ""))(run)
        return function

    return decorated


def command[**P](function: Work[P]) -> Work[P]:
    """Make a command of a function that takes a session and its own options, and tells the exit code.

    The command takes the common options, too. A CommandError becomes its two sentences; anything else that goes wrong
    becomes two, as well, and never an exit code that means something.
    """
    return command_with()(function)


def _place_option(name: str) -> inspect.Parameter:
    told = f"{ABOUT[name].about[0].upper()}{ABOUT[name].about[1:]}. Else: the variable {name}, then azd's."
    annotation = Annotated[str | None, typer.Option(option(name), metavar="VALUE", help=told)]
    return inspect.Parameter(name.lower(), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def guarded(session: Session, work: Callable[[], int]) -> int:
    """The exit code of `work`; whatever it raises is told, and means that it could not tell."""
    try:
        return work()
    except CommandError as problem:
        _tell(session, problem.sentence, problem.remedy)
    except ModuleNotFoundError as error:
        lack = lacking(error)
        _tell(session, lack.sentence, lack.remedy)
    except KeyboardInterrupt:
        _tell(session, "Stopped.", "")
    except BrokenPipeError:
        # Whoever read the output has enough of it. Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 # a fault of ours must not end in exit code 1, which means warnings
        said = bounded(f"{type(error).__name__}: {error}", 300)
        _tell(session, f"This is a fault of the program: {said}.", "Run it with --debug, and report what it says.")
    return COULD_NOT_TELL


def _tell(session: Session, sentence: str, remedy: str) -> None:
    if session.debug:
        session.err.print(Text(traceback.format_exc()), soft_wrap=True)
    session.warn(f"{sentence}\n{remedy}".rstrip())


def _is_text(argument: str) -> bool:
    """Return whether an argument can be encoded; Python puts lone surrogates in place of bytes that are no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    # What goes wrong is told in our own words; without a handler, Python would print what libraries log of it.
    logging.getLogger().addHandler(logging.NullHandler())
    for number, argument in enumerate(sys.argv[1:] if arguments is None else arguments, 1):
        if not _is_text(argument):
            typer.echo(f"Argument {number} is not text: {bounded(argument, 80)!r}. Expected: UTF-8.", err=True)
            return COULD_NOT_TELL
    try:
        code = app(arguments, standalone_mode=False)
    except TyperException as error:
        told, context = error.format_message(), getattr(error, "ctx", None)
        hint = "" if told.startswith("Usage:") else f"\nSee {context.command_path if context else app.info.name} --help"
        typer.echo(f"{told}{hint}", err=True)
        return COULD_NOT_TELL
    return code if isinstance(code, int) else 0
