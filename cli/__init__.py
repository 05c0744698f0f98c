"""What an operator types. Not deployed."""

from typing import Final

COULD_NOT_TELL: Final = 3
"""Exit code of a command that could not do its work, usage errors included."""
