"""The installation's home: where its keys and tokens are, and its database if that is the embedded one."""

from pathlib import Path

from events.errors import OxbotError


class HomeUnusable(OxbotError):
    """The home is no directory, and none can be made there."""


def make_home(home: Path) -> None:
    """Make the directory unless it is there. Raises ``HomeUnusable``."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeUnusable(f"cannot use {home} as the home (OXBOT_HOME): {error.strerror}") from error
