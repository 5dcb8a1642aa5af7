"""What all tests share: a time zone, a real Postgres, a fresh database per test, asyncio, a Hypothesis profile."""

from tests import scratch, time_zone

# isort: split
# Above, the worker has entered its time zone and the folder of its files; whatever reads either is imported below.
import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import hypothesis.internal.conjecture.optimiser  # noqa: F401  # loaded late, deep in the stack, Python 3.11 cannot
import pytest
from hypothesis import HealthCheck, settings

from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import open_pool
from oxbot.adapters.migrations import migrate
from tests.local_ray import local_ray

__all__ = ["local_ray", "scratch"]

settings.register_profile("random", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", settings.get_profile("random"), derandomize=True)
settings.load_profile("fixed")
"""The seeds are fixed: a check does not fail by chance. ``--hypothesis-profile random``, as in a soak, tries others."""

WORKER_ZONES = pytest.StashKey[dict[str, str]]()
TEMPLATE = "oxbot_template"
DATABASE_NUMBERS = count(1)
CREATE_DATABASE = "SELECT format('CREATE DATABASE %I TEMPLATE %I STRATEGY file_copy', $1::text, $2::text)"
DROP_DATABASE = "SELECT format('DROP DATABASE %I WITH (FORCE)', $1::text)"
WITHOUT_A_DISK = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
)
"""Nothing here outlives the machine; what outlives a killed server is tested at servers of their own, set as usual."""


LONGEST = ("tests/e2e/", "tests/simulation/", "tests/actors/", "tests/adapters/", "tests/exchange/", "tests/page/")
"""Where the tests are that start processes or wait, those that do so longest first."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the tests of the ledger against the naive one, and of the execution against a venue, go on."""
    parser.addoption("--ledger-sequences", type=int, default=200, help="how many lives of the books are tried")
    parser.addoption("--execution-runs", type=int, default=100, help="how many lives of an execution are tried")
    parser.addoption("--live-fault-runs", type=int, default=4, help="how many lives of an execution at an exchange")
    parser.addoption(
        "--advice-steps", type=int, default=10_000, help="for how many candles advice is the worst there is"
    )
    parser.addoption("--tz", help="the time zone of every process; else that of the environment, or of the worker")


def pytest_configure(config: pytest.Config) -> None:
    """Enter the zone that was asked for, before any test is imported."""
    zone = config.getoption("tz")
    if zone is not None:
        time_zone.enter(zone)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the workers share out whole files, and the last one to end is waited for."""
    items.sort(key=lambda item: next((rank for rank, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell whoever started this worker which zone it was in."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["time_zone"] = time_zone.entered()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Keep what a worker has told of itself."""
    config: pytest.Config = getattr(node, "config")  # noqa: B009 - the type is of a plug-in that need not be there
    gateway, output = getattr(node, "gateway", None), getattr(node, "workeroutput", {})
    config.stash.setdefault(WORKER_ZONES, {})[getattr(gateway, "id", "?")] = output.get("time_zone", "it is lost")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the time zones, and what tests have counted, whichever process they ran in."""
    for worker, zone in sorted(config.stash.get(WORKER_ZONES, {"this process": time_zone.entered()}).items()):
        terminalreporter.write_line(f"time zone of {worker}: {zone}")
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, counts in report.user_properties:
            if name == "counts":
                terminalreporter.write_line(f"{report.nodeid}: {counts}")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio alone."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The connection string of a Postgres of this session's own, with a migrated template in it."""
    with tempfile.TemporaryDirectory(prefix="oxbot-", ignore_cleanup_errors=True) as directory:
        data = Path(directory) / "postgres"
        try:
            dsn = embedded_postgres.start(data)
            asyncio.run(_make_template(dsn))
            yield dsn
        finally:
            embedded_postgres.stop(data)


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """The connection string of a fresh database at the head of the migrations, gone after the test."""
    yield from _database(postgres_server, TEMPLATE)


@pytest.fixture
def empty_database(postgres_server: str) -> Iterator[str]:
    """The connection string of a database that no migration has touched."""
    yield from _database(postgres_server, "template0")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool of up to four connections to the test's database."""
    opened = await open_pool(database, size=4, application_name="tests")
    yield opened
    await asyncio.wait_for(opened.close(), timeout=5)


def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{next(DATABASE_NUMBERS)}"
    asyncio.run(_run(server, CREATE_DATABASE, name, template))
    yield _at(server, name)
    asyncio.run(_run(server, DROP_DATABASE, name))


def _at(dsn: str, name: str) -> str:
    return dsn.replace(f"/{embedded_postgres.DATABASE}?", f"/{name}?")


async def _make_template(dsn: str) -> None:
    server = await asyncpg.connect(dsn)
    for statement in WITHOUT_A_DISK:
        await server.execute(statement)
    await server.close()
    await _run(dsn, CREATE_DATABASE, TEMPLATE, "template0")
    connection = await asyncpg.connect(_at(dsn, TEMPLATE))
    await migrate(connection)
    await connection.close()


async def _run(dsn: str, statement: str, *names: str) -> None:
    """Run a statement whose identifiers Postgres itself has quoted."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(await connection.fetchval(statement, *names))
    await connection.close()
