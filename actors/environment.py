"""What Ray must find in the environment before it is first imported. This module does not import it."""

import os
import secrets
from pathlib import Path

from oxbot.config import PREFIX, SECRETS

TOKEN_FILE = "ray_token"  # noqa: S105 - the name of the file, not the token


def prepare_embedded(home: Path) -> None:
    """Make the next ``import ray`` of this process, and every process it starts, private to this machine.

    All of Ray's sockets bind to 127.0.0.1, every caller must hold the token (a file that only its owner can read),
    workers run at normal priority next to Postgres, and nothing is reported to anyone. Secrets leave this process's
    environment: whoever needs one is given it by its caller, and the strategies of others run in those processes.
    """
    for name in SECRETS:
        os.environ.pop(f"{PREFIX}{name.upper()}", None)
    os.environ.update(
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN_PATH=str(_token(home)),
        RAY_worker_niceness="0",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_DEDUP_LOGS="0",
    )


def _token(home: Path) -> Path:
    path = home / TOKEN_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return path
