"""Settings of the whole test suite."""

from collections import Counter

import anyio
import pytest
from httpcore._backends.anyio import AnyIOStream
from hypothesis import HealthCheck, settings

# How long an example takes says nothing here: the machine may be busy with the other tests.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items):
    """Marks the cases of a sampled test that come after its first ones."""
    cases = Counter()
    for item in items:
        if sampled := item.get_closest_marker("sampled"):
            cases[item.originalname, item.parent] += 1
            if cases[item.originalname, item.parent] > sampled.args[0]:
                item.add_marker(pytest.mark.exhaustive)


@pytest.fixture(autouse=True, scope="session")
def _canceled_handshakes_close_their_socket():
    """Closes the socket of a TLS handshake that is canceled.

    httpcore closes it after an `Exception` only and leaves it to the garbage collector after a cancellation, whose
    `ResourceWarning` would fail the test that happens to run then.
    """
    start_tls = AnyIOStream.start_tls

    async def closing(stream, *args, **options):
        try:
            return await start_tls(stream, *args, **options)
        except BaseException:
            await anyio.aclose_forcefully(stream._stream)
            raise

    AnyIOStream.start_tls = closing
    yield
    AnyIOStream.start_tls = start_tls
