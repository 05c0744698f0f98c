"""The commands. They are not deployed."""

from typing import Final

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

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(f"{sentence} {remedy}")
        self.sentence = sentence
        self.remedy = remedy


def missing_package(error: ModuleNotFoundError) -> CommandError:
    """Return the error for a package that is not installed."""
    return CommandError(
        f"The package {error.name} is not installed.", "Run `make setup`, then .venv/bin/python -m cli."
    )
