"""How long the log is under fire, and the Ray through which some of its writers reach it."""

from collections.abc import Iterator
from random import SystemRandom

import pytest
import stamina

from tests.actors.conftest import _no_home_left, local_ray

__all__ = ["_no_home_left", "local_ray"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seconds", type=float, default=60.0, help="how long the log is under fire")
    parser.addoption("--chaos-seed", type=int, default=None, help="the seed of the faults, as a run has printed it")


@pytest.fixture
def chaos_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--chaos-seconds", 60.0))


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
