"""Keeps what speaks HTTP from logging what it sends.

Below WARNING the libraries log whole requests: `hpack` the encoded header blocks, from which the bearer token decodes
(https://github.com/microsoftgraph/msgraph-sdk-python/issues/651).
"""

import logging
from typing import Final

_PASS: Final = frozenset({"shared", "function_app", "azure_functions_worker", "azure_functions_runtime"})
"""First parts of the names of loggers that may log below WARNING: the project's own, and the host's worker."""

_REPEATS: Final = "azure.identity"
"""It warns of every failure that this project's own errors report."""


class _Logger(logging.Logger):
    """A logger that is made later: `httpx` imports what speaks HTTP/2 at the first connection."""

    def __init__(self, name: str, level: int = logging.NOTSET) -> None:
        top = name.partition(".")[0]
        super().__init__(name, logging.WARNING if name == top and top not in _PASS else level)
        if name != top:
            logging.getLogger(top)  # so that there is one to inherit from


def quiet() -> None:
    """Raises every other logger to WARNING, whatever the host has set, and those that will be made.

    To be called again where the host may have set levels since.
    """
    logging.setLoggerClass(_Logger)
    for name, logger in list(logging.root.manager.loggerDict.items()):
        top = name.partition(".")[0]
        if top not in _PASS:
            _raise(logging.getLogger(top), logging.WARNING)
            if isinstance(logger, logging.Logger) and logger.level:
                _raise(logger, logging.WARNING)
    _raise(logging.getLogger(_REPEATS), logging.ERROR)


def _raise(logger: logging.Logger, level: int) -> None:
    if logger.level < level:
        logger.setLevel(level)
