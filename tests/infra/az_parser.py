"""Verifies command lines with az's own parser, in az's own environment: .judges/az/bin/python az_parser.py.

Reads a JSON list of commands, each a list of the words after `az`, and writes a JSON list with az's error for each: an
empty text if az accepts it. A command runs in az until its arguments are parsed; none is carried out.
"""

import contextlib
import io
import json
import logging
import os
import sys
import tempfile

os.environ |= {
    "AZURE_CONFIG_DIR": tempfile.mkdtemp(),
    "AZURE_CORE_COLLECT_TELEMETRY": "no",
    "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",  # a command of an extension is none: administrators lack it
}

from azure.cli.core import get_default_cli
from knack.events import EVENT_INVOKER_POST_PARSE_ARGS


class ParsedError(BaseException):
    """Ends a command once its arguments are parsed."""


def stop(*_, **__):
    raise ParsedError


def judge(az, words):
    said = []
    errors = logging.Handler(logging.ERROR)
    errors.emit = lambda record: said.append(record.getMessage())
    with contextlib.redirect_stderr(io.StringIO()) as rest, contextlib.redirect_stdout(rest):  # examples, addresses
        try:
            logging.getLogger("cli").addHandler(errors)
            az.invoke(words)
        except ParsedError:
            return ""
        except SystemExit:
            pass
        finally:
            logging.getLogger("cli").removeHandler(errors)
    return " ".join(said) or "az refuses it"


if __name__ == "__main__":
    program = get_default_cli()
    program.register_event(EVENT_INVOKER_POST_PARSE_ARGS, stop)
    json.dump([judge(program, words) for words in json.load(sys.stdin)], sys.stdout)
