"""A local Ray for the tests of actors. Ray reads its environment once, so it is prepared before anything imports it."""

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


@pytest.fixture(scope="package")
def local_ray() -> Iterator[None]:
    """A Ray for the tests of this directory, gone with all of its actors after the last of them."""
    from actors.cluster import start_ray, stop_ray

    start_ray(Settings(home=HOME))
    yield
    stop_ray()
