"""Prevents the HTTP libraries from logging their requests.

Below WARNING they log whole requests; `hpack` logs encoded headers, which contain the bearer token:
https://github.com/microsoftgraph/msgraph-sdk-python/issues/651
"""

import logging
from typing import Final

_PASS: Final = frozenset({"shared", "function_app", "azure_functions_worker", "azure_functions_runtime"})
"""The first part of the names of loggers that may log below WARNING: the project's and the host's worker."""

_REPEATS: Final = "azure.identity"
"""It warns of failures that the project's own errors report."""


class _Logger(logging.Logger):
    """A logger that is created later: `httpx` imports HTTP/2 at the first connection."""

    def __init__(self, name: str, level: int = logging.NOTSET) -> None:
        top = name.partition(".")[0]
        super().__init__(name, logging.WARNING if name == top and top not in _PASS else level)
        if name != top:
            logging.getLogger(top)  # so that there is one to inherit from


def quiet() -> None:
    """Raise every other logger, existing or future, to WARNING; call it again if the host may have set levels."""
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
