"""Configures the test suite."""

from collections import Counter

import anyio
import pytest
from httpcore._backends.anyio import AnyIOStream
from hypothesis import HealthCheck, is_hypothesis_test, settings

# Examples have no deadline, because the machine can be busy with the other tests.
RELAXED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("few", max_examples=50, **RELAXED)
settings.register_profile("many", max_examples=300, **RELAXED)
settings.load_profile("few")


def pytest_generate_tests(metafunc):
    """Runs each property without settings of its own a second time, with many examples, among the exhaustive tests."""
    own = getattr(metafunc.function, "_hypothesis_internal_use_settings", None)
    if is_hypothesis_test(metafunc.function) and own == settings.default:
        metafunc.fixturenames.append("examples")
        profiles = ["few", pytest.param("many", marks=pytest.mark.exhaustive)]
        metafunc.parametrize("examples", profiles, scope="module")


def pytest_runtest_setup(item):
    """Gives a property the examples of its profile, because Hypothesis reads the settings when it decorates a test."""
    if profile := getattr(item, "callspec", None) and item.callspec.params.get("examples"):
        item.obj._hypothesis_internal_use_settings = settings.get_profile(profile)


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
