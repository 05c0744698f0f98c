"""The commands. They are not deployed."""

import sys
from pathlib import Path
from typing import Final

SCRIPT: Final = "ade-token-monitor"
"""The console script of the installed package."""

WELL: Final = 0
"""Exit code of a command that found nothing wrong, or that judges nothing and did its work."""

WARNINGS: Final = 1
"""Exit code of `status` where the worst is a warning."""

WRONG: Final = 2
"""Exit code where something is critical or unknown, or a line of `doctor` failed."""

COULD_NOT_TELL: Final = 3
"""Exit code of a command that could not do its work, usage errors included."""


class CommandError(Exception):
    """Why a command cannot go on, in one sentence, and what to do about it in another."""

    def __init__(self, sentence: str, remedy: str, *, status: int | None = None, role: str = "") -> None:
        super().__init__(f"{sentence} {remedy}")
        self.sentence = sentence
        self.remedy = remedy
        self.status = status
        """HTTP status of the answer; 401 also where nobody is signed in, None where there was no answer."""
        self.role = role
        """The role in Azure that the caller lacks; empty where that is not the reason."""


def program() -> str:
    """Return what started this program, for messages that name a command: `python -m cli`, or the installed script."""
    return SCRIPT if Path(sys.argv[0]).stem == SCRIPT else "python -m cli"


def missing_package(error: ModuleNotFoundError) -> CommandError:
    """Return the error for a package that is not installed."""
    remedy = "Install it again." if program() == SCRIPT else "Run `make setup`, then .venv/bin/python -m cli."
    return CommandError(f"The package {error.name} is not installed.", remedy)
