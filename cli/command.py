"""Makes a command of a function, and turns an error into a sentence, a remedy and an exit code.

A command's module holds its options, its help (the function's docstring) and its work. `--help` imports every such
module, so a function imports Azure's packages and the simulator when it is called.
"""

import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, Literal

import typer
from rich.text import Text

from cli import COULD_NOT_TELL, CommandError, missing_package, program
from cli.places import ABOUT, option
from cli.session import GRAPH_CLIENT_ID, GraphSignIn, Session
from shared.text import bounded

type Work[**P] = Callable[Concatenate[Session, P], int]
type Command = Callable[..., None]

Form = Annotated[Literal["table", "json", "csv"], typer.Option("--format", "-f", help="The form of the output.")]
Days = Annotated[int | None, typer.Option("--days", "-d", min=1, max=3650, help="Only the last DAYS days.")]


def help_text(function: Callable[..., object]) -> str:
    """Return a function's docstring as help: indented lines stay lines, and examples name what was started."""
    text = inspect.cleandoc(function.__doc__ or "").replace("python -m cli", program())
    return "\n\n".join(f"\b\n{one}" if "\n  " in one else one for one in text.split("\n\n"))


def _common(
    *,
    tables_endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The tables' address. Default: the variable TABLES_ENDPOINT, then azd's."),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env", "-e", metavar="NAME", help="azd's environment. Default: AZURE_ENV_NAME, then azd's default."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result, and no progress.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print a traceback with an error.")] = False,
) -> Session:
    """Return a session made of the options that every command takes."""
    return Session(given={"TABLES_ENDPOINT": tables_endpoint}, environment=env, quiet=quiet, debug=debug)


def _graph_sign_in(
    *,
    credential: Annotated[
        Literal["browser", "device-code", "default"],
        typer.Option("--credential", help="How to sign in to Graph; default uses the sign-in of the other commands."),
    ] = "browser",
    device_code: Annotated[bool, typer.Option("--device-code", help="Short for --credential device-code.")] = False,
    client_id: Annotated[
        str | None,
        typer.Option(
            "--client-id", metavar="ID", help="The public client to sign in to Graph with. Default: Microsoft's."
        ),
    ] = None,
) -> GraphSignIn:
    """Return how the options ask to sign in to Graph."""
    return GraphSignIn("device-code" if device_code else credential, client_id or GRAPH_CLIENT_ID)


def command[**P](*places: str, reads_graph: bool = False) -> Callable[[Work[P]], Command]:
    """Return a decorator that makes a command of a function.

    The function takes a session and its own options, and returns the exit code. The command also takes the common
    options, one for each of `places`, and with `reads_graph` those of the sign-in to Graph. A CommandError becomes its
    two sentences; so does any other error, and never an exit code that means something else.
    """

    def decorated(function: Work[P]) -> Command:
        own = _options(function)[1:]
        place_options = [_place_option(name) for name in places]
        graph = _options(_graph_sign_in) if reads_graph else []
        common = _options(_common)

        @functools.wraps(function)
        def run(**values: Any) -> None:  # noqa: ANN401 # the values of the options
            named = {name: values.pop(one.name) for name, one in zip(places, place_options, strict=True)}
            session = _common(**{one.name: values.pop(one.name) for one in common})
            session.given.update(named)
            session.graph_sign_in = _graph_sign_in(**{one.name: values.pop(one.name) for one in graph})
            raise typer.Exit(guarded(session, functools.partial(function, session, **values)))

        parameters = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *graph, *place_options, *common)
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # Typer reads the options here
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorated


def _options(function: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _place_option(name: str) -> inspect.Parameter:
    about = f"{ABOUT[name][0].upper()}{ABOUT[name][1:]}. Default: the variable {name}, then azd's."
    annotation = Annotated[str | None, typer.Option(option(name), metavar="VALUE", help=about)]
    return inspect.Parameter(name.lower(), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def guarded(session: Session, work: Callable[[], int]) -> int:
    """Return the exit code of `work`; print whatever it raises, and return that it could not do its work."""
    try:
        return work()
    except CommandError as problem:
        _print_error(session, problem)
    except ModuleNotFoundError as error:
        _print_error(session, missing_package(error))
    except KeyboardInterrupt:
        _print_error(session, CommandError("Stopped.", ""))
    except BrokenPipeError:
        # Whoever read the output has enough of it. Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 # exit code 1, Python's own, means that there are warnings
        fault = bounded(f"{type(error).__name__}: {error}", 300)
        remedy = "Run the command again with --debug, and report what it prints."
        _print_error(session, CommandError(f"This is a fault of the program: {fault}.", remedy))
    return COULD_NOT_TELL


def _print_error(session: Session, problem: CommandError) -> None:
    if session.debug:
        session.err.print(Text(traceback.format_exc()), soft_wrap=True)
    session.warn(f"{problem.sentence}\n{problem.remedy}".rstrip())
