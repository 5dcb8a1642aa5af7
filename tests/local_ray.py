"""A local Ray for the tests that need one; Ray reads its environment on import, so it is prepared before that."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.environment import prepare_embedded
from oxbot.config import Settings

HOME = Path(tempfile.mkdtemp(prefix="oxbot-ray-"))

atexit.register(shutil.rmtree, HOME, ignore_errors=True)
prepare_embedded(HOME)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """The one Ray of the session, gone with all of its actors at the end."""
    from actors.cluster import start_ray, stop_ray

    start_ray(Settings(home=HOME))
    yield
    stop_ray()
