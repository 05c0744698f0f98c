"""`python -m cli COMMAND`."""

import sys

from cli import COULD_NOT_TELL, missing_package

try:
    from cli.app import main
except ModuleNotFoundError as error:
    # The exit code of a traceback would mean that there are warnings.
    problem = missing_package(error)
    sys.stderr.write(f"{problem.sentence}\n{problem.remedy}\n")
    sys.exit(COULD_NOT_TELL)

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
