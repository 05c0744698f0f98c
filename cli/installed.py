"""Starts the installed package, whose folder has the repository's layout."""

import sys
from pathlib import Path


def main() -> int:
    """Put the package's folder first on the search path, as `python -m cli` does with the repository's, and run."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from cli.__main__ import main as run  # it is found only now

    return run()
