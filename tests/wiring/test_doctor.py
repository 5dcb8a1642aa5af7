"""What ``oxbot doctor`` finds: each thing that can be wrong, made so in a real installation."""

from pathlib import Path

import asyncpg
import pytest

from events.account import AccountUnreconciled
from events.bot import BotHalted
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import AccountName, BotId, bot_stream, new_event_id
from events.postgres import PostgresEventLog
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.adapters.postgres_views import PostgresViews
from oxbot.app.projection import ProjectionRunner
from oxbot.app.views import Target
from oxbot.cli.doctor import line_of
from oxbot.config import Secret, Settings
from oxbot.views.fold import Poison
from oxbot.wiring.doctor import (
    Finding,
    clock_finding,
    connections_finding,
    disk_finding,
    examine,
    home_finding,
    models_finding,
    roles_finding,
)
from tests.app.accounts import open_account
from tests.core.scenario import START, created

pytestmark = pytest.mark.anyio

NOBODY = 1
"""A port at which nothing answers."""


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    """An installation over the test's database, in a home of its own."""
    tmp_path.chmod(0o700)
    return Settings(home=tmp_path, database_url=Secret(database), api_port=NOBODY)


async def found(settings: Settings) -> dict[str, Finding]:
    """Every finding by name."""
    return {finding.name: finding async for finding in examine(settings, {})}


async def test_an_installation_that_rests_is_fine_but_for_the_api_that_does_not_run(settings: Settings) -> None:
    findings = await found(settings)

    assert {name for name, finding in findings.items() if not finding.ok} == {"api"}
    assert set(findings) == {
        "home", "disk", "models", "database", "roles", "connections", "clock", "log", "projections", "bots", "feed",
        "accounts", "alerts", "api",
    }  # fmt: skip
    assert findings["api"].advice == "oxbot up serves it"
    assert all("\n" not in line_of(finding) for finding in findings.values())


async def test_what_is_wrong_in_the_log_and_its_views_is_found_with_what_to_do(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    bot = BotId("bot-1")
    facts: list[Fact] = [created(), BotHalted(rule="venue", reason="wrong keys")]
    events = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact) for fact in facts]
    await log.append(bot_stream(bot), events, expected=0)
    await open_account(log, AccountName("main"), "okx", more=[AccountUnreconciled(at=START, epoch=1, reason="lost")])
    await ProjectionRunner(log, views).catch_up()
    checkpoint = await views.checkpoint(Target("users"))
    assert checkpoint is not None
    await views.stop(Target("users"), Poison(7, "user.created", "KeyError: x"), at=checkpoint)
    await PostgresFailingBots(pool).failed({bot: "it fell"})
    findings = await found(settings)

    ill = {name: finding.found for name, finding in findings.items() if not finding.ok}
    assert set(ill) == {"log", "projections", "bots", "accounts", "alerts", "api"}
    assert ill["bots"] == "bot-1: it fell"
    assert ill["accounts"] == "main: lost"
    assert ill["projections"].startswith("users stopped")
    assert ill["alerts"] == "2 go on, 2 of them failures"
    assert ill["log"].endswith("no checkpoint")
    assert all(finding.advice for finding in findings.values() if not finding.ok)


async def test_a_database_that_does_not_answer_or_lacks_its_schema_is_one_finding(
    settings: Settings, empty_database: str, tmp_path: Path
) -> None:
    nowhere = Settings(home=tmp_path, database_url=Secret("postgresql://u@127.0.0.1:1/x"), api_port=NOBODY)
    empty = Settings(home=tmp_path, database_url=Secret(empty_database), api_port=NOBODY)
    for given in (nowhere, empty):
        findings = await found(given)
        assert not findings["database"].ok
        assert "log" not in findings
    assert settings.home == tmp_path


async def test_connections_roles_and_the_clock_are_measured_against_what_is_needed(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    greedy = Settings(home=settings.home, connections_max=10_000)
    async with pool.acquire() as connection:
        assert (await connections_finding(connection, settings)).ok
        assert not (await connections_finding(connection, greedy)).ok
        assert (await clock_finding(connection)).ok
        assert not (await clock_finding(connection, skew_seconds_max=-1000)).ok
        assert (await roles_finding(connection)).ok


def test_a_home_that_others_may_use_is_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    opened = home_finding(Settings(home=tmp_path))
    tmp_path.chmod(0o700)
    (tmp_path / "token-key").write_text("x")
    (tmp_path / "token-key").chmod(0o644)
    key = home_finding(Settings(home=tmp_path))
    (tmp_path / "token-key").chmod(0o600)

    assert (opened.ok, key.ok) == (False, False)
    assert "token-key" in key.found
    assert home_finding(Settings(home=tmp_path)).ok
    assert not home_finding(Settings(home=tmp_path / "nowhere")).ok


def test_a_disk_without_room_is_told_of(tmp_path: Path) -> None:
    assert disk_finding(Settings(home=tmp_path / "not" / "yet"), free_bytes_min=1).ok
    assert not disk_finding(Settings(home=tmp_path), free_bytes_min=2**80).ok


def test_a_model_without_its_key_is_told_of_and_no_key_is_shown(tmp_path: Path) -> None:
    table = tmp_path / "models.toml"
    table.write_text('[models.deep]\nprovider_model = "openai/deep"\ncutoff = 2024-01-01\nkey_env = "DEEP_KEY"\n')
    settings = Settings(home=tmp_path, models=table)
    lacking = models_finding(settings, {})
    given = models_finding(settings, {"DEEP_KEY": "very-secret"})

    assert (lacking.ok, given.ok) == (False, True)
    assert "DEEP_KEY" in lacking.found
    assert "very-secret" not in repr(given)
