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


def quiet() -> None:
    """Raises every other logger to WARNING, whatever the host has set. A logger that is made later inherits it.

    To be called once the libraries are imported, and again where the host may have set levels since.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        top = name.partition(".")[0]
        if top in _PASS:
            continue
        _raise(logging.getLogger(top), logging.WARNING)
        if isinstance(logger, logging.Logger) and logger.level:
            _raise(logger, logging.WARNING)
    _raise(logging.getLogger(_REPEATS), logging.ERROR)


def _raise(logger: logging.Logger, level: int) -> None:
    if logger.level < level:
        logger.setLevel(level)
