"""How long the log is under fire, and on which server."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom

import pytest
import stamina

from tests.simulation.faults import Server

DEFAULT_SECONDS = 40.0
PATIENCE_SECONDS = 300.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seconds", type=float, default=DEFAULT_SECONDS, help="how long the run is")
    parser.addoption("--chaos-seed", type=int, default=None, help="the seed of the faults, as a run has printed it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "chaos_seconds" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(seconds_of(config) + PATIENCE_SECONDS))


def seconds_of(config: pytest.Config) -> float:
    """The option; its default where pytest met this file only while collecting, after it had read its arguments."""
    return float(config.getoption("--chaos-seconds", DEFAULT_SECONDS))


@pytest.fixture
def chaos_seconds(request: pytest.FixtureRequest) -> float:
    return seconds_of(request.config)


@pytest.fixture
def chaos_seed(request: pytest.FixtureRequest) -> int:
    seed = request.config.getoption("--chaos-seed", None)
    return SystemRandom().randrange(10**6) if seed is None else int(seed)


@pytest.fixture
def without_warnings() -> Iterator[None]:
    """A run is nothing but repeated calls; telling of each would hide what it came to."""
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks(())
    yield
    stamina.instrumentation.set_on_retry_hooks(hooks)


@pytest.fixture
def server() -> Iterator[Server]:
    """A Postgres that nobody else uses."""
    with tempfile.TemporaryDirectory(prefix="oxbot-chaos-", ignore_cleanup_errors=True) as directory:
        own = Server(Path(directory) / "postgres")
        own.start()
        try:
            yield own
        finally:
            own.stop()
