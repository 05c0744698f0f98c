"""`python -m cli COMMAND`."""

import sys

from cli import COULD_NOT_TELL, lacking

try:
    from cli import commands  # noqa: I001 # the help lists them in this order
    from cli import actions
    from cli.app import main
except ModuleNotFoundError as error:
    # The exit code of a traceback would mean that there are warnings.
    problem = lacking(error)
    sys.stderr.write(f"{problem.sentence}\n{problem.remedy}\n")
    sys.exit(COULD_NOT_TELL)

__all__ = ["actions", "commands", "main"]

if __name__ == "__main__":
    sys.exit(main())
