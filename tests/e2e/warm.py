"""Runs the command line in a process of its own that need not import everything first: a fork of one that has."""

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

IMPORTED = ["tests.e2e.warm", "oxbot.cli.main", "oxbot.cli.bots", "oxbot.cli.audit", "oxbot.cli.projections"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(IMPORTED)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, *, timeout: float
) -> "CompletedProcess[str]":
    """What ``oxbot`` with these arguments says, and its status; ``folder`` is one that nobody else uses just now."""
    out, err = folder / "stdout", folder / "stderr"
    process = FORKS.Process(
        target=_main, args=(list(arguments), dict(environment), str(Path.cwd()), str(out), str(err))
    )
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutExpired(list(arguments), timeout)
    said = [path.read_text(encoding="utf-8") for path in (out, err)]
    return CompletedProcess(list(arguments), process.exitcode, *said)


def _main(arguments: list[str], environment: dict[str, str], folder: str, out: str, err: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for path, descriptor in ((out, 1), (err, 2)):
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(target, descriptor)
        os.close(target)
    sys.argv = ["oxbot", *arguments]
    from oxbot.cli.main import main

    main()
