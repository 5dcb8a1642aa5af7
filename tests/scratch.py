"""Where the tests' temporary files are: in memory, if it has room, for the databases of a run are 400,000 files."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  # what is made in it has a name of its own
ROOM_BYTES = 6 * 2**30
"""Several times what a whole run leaves behind until it ends."""

PREFIX = "oxbot-"


def enter() -> None:
    """Make temporary files in memory, here and in every process started from now on; ``TMPDIR`` is left as it is."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        return
    _sweep()
    folder = MEMORY / f"{PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700)
    atexit.register(_remove, folder, os.getpid())
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None


def _remove(folder: Path, maker: int) -> None:
    """Not at the end of a fork."""
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Give back the memory of runs that were killed."""
    for folder in MEMORY.glob(f"{PREFIX}*"):
        process_id = folder.name.removeprefix(PREFIX)
        if process_id.isdecimal() and not Path("/proc", process_id).exists():
            shutil.rmtree(folder, ignore_errors=True)


enter()
