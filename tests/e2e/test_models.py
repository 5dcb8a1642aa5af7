"""Bots that a model advises, end to end: the same life whatever dies on the way, and replay calls nobody."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from events.advice import AdviceAbstained, AdviceReceived, AdviceRequested, AdviceTaken
from events.bot import BotFact
from events.codec import Codec
from events.identifiers import MODELS_STREAM, BotId, bot_stream
from events.models import ModelCallBegun, ModelCallEnded
from events.postgres import PostgresEventLog
from oxbot.adapters import embedded_postgres
from oxbot.adapters.database import open_pool
from tests.e2e.conftest import BEGINS_AT, REAL_MARKET, SYMBOLS, MarketFolder, demo_arguments, run_oxbot

pytestmark = pytest.mark.anyio

DAYS = 3
FIRST_DAY = 288
EVERY = 12
ADVISED = ("--strategy", "model", "--fleet", "one")
ANSWERS = re.compile(r"answers: (\d+) to (\d+) requests read again, 0 differences, no model called")
DECISIONS = re.compile(r"decisions: \d+ of 3 bots decided again over \d+ candles, \d+ facts, 0 differences")
Json = dict[str, Any]


class Run(NamedTuple):
    """A finished demo: its result, what it said, and the home that it left."""

    result: Json
    said: str
    home: Path


@pytest.fixture(scope="module")
def undisturbed(market: MarketFolder, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three bots, each advised on its own symbol, over three days."""
    return _demo(tmp_path_factory.mktemp("advised"), market.path)


async def test_every_request_is_answered_before_the_next_candle_and_bots_trade_on_it(undisturbed: Run) -> None:
    facts, _ = await _recorded(undisturbed.home)
    requests = [fact for fact in facts if isinstance(fact, AdviceRequested)]
    taken = [fact for fact in facts if isinstance(fact, AdviceTaken)]
    answers = [fact for fact in facts if isinstance(fact, AdviceReceived)]
    # Fewer by what was due while the window was not full, or nothing could come of it.
    assert len(requests) == len(answers) >= (DAYS - 1) * FIRST_DAY // EVERY
    assert [fact.advice_id for fact in answers] == [fact.advice_id for fact in requests]
    assert not any(isinstance(fact, AdviceAbstained) for fact in facts)
    assert not any(fact.stale for fact in taken)
    assert {fact.at - asked.at for fact, asked in zip(taken, requests, strict=False)} == {timedelta(minutes=5)}
    assert sum(len(bot["trades"]) for bot in undisturbed.result["bots"]) > 0


async def test_replay_reads_every_answer_again_finds_no_difference_and_calls_nobody(undisturbed: Run) -> None:
    _, before = await _recorded(undisturbed.home)
    replayed = run_oxbot(undisturbed.home, ["replay"])
    assert replayed.returncode == 0, replayed.stderr
    said = ANSWERS.search(replayed.stdout)
    assert said is not None, replayed.stdout
    assert said[1] == said[2] == str(before)
    assert re.search(
        r"decisions: \d+ of 3 bots decided again over \d+ candles, \d+ facts, 0 differences", replayed.stdout
    )
    assert (await _recorded(undisturbed.home))[1] == before


def test_a_recorded_life_is_lived_again_under_a_tighter_limit_on_the_same_answers(undisturbed: Run) -> None:
    bot = undisturbed.result["bots"][0]
    under = ("--bot", "one-1", "--under", "limits.exposure_fraction_max=0.001")
    again = run_oxbot(undisturbed.home, ["replay", *under])
    assert again.returncode == 0, again.stderr
    recorded, tighter = again.stdout.splitlines()
    assert f"{len(bot['trades'])} closed trades" in recorded
    assert "limits.exposure_fraction_max=0.001: 0 entries" in tighter
    assert recorded.endswith("no model called")


async def test_kill_9_of_the_models_process_and_of_a_bot_changes_no_trade_and_asks_nothing_twice(
    undisturbed: Run, market: MarketFolder, home: Path
) -> None:
    disturbed = _demo(home, market.path, "--kill", "models@55%", "--kill", "bot@75%")
    assert "killed the models process" in disturbed.said
    assert disturbed.result["bots"] == undisturbed.result["bots"]
    facts, calls = await _recorded(home)
    asked = [fact.advice_id for fact in facts if isinstance(fact, AdviceRequested)]
    answered = [fact.advice_id for fact in facts if isinstance(fact, AdviceReceived | AdviceAbstained)]
    assert asked == answered
    # Only what was under way as it died is called for again.
    assert calls <= len(await _all_requests(home)) + 3


def test_killing_what_asks_models_needs_a_bot_that_asks_one(market: MarketFolder, home: Path) -> None:
    refused = run_oxbot(home, demo_arguments(market.path, SYMBOLS, "--kill", "models@50%"))
    assert refused.returncode == 2
    assert "ema_cross asks no model" in refused.stderr


@pytest.mark.skipif(not REAL_MARKET.is_dir(), reason="no folder of real candles; set OXBOT_TEST_MARKET")
def test_a_week_of_the_real_market_replays_with_no_call_and_no_difference(home: Path) -> None:
    symbols = ("BTC/USDT", "ETH/USDT")
    week = ("--from", "2024-01-01", "--to", "2024-01-08")
    finished = run_oxbot(home, demo_arguments(REAL_MARKET, symbols, *ADVISED, *week))
    assert finished.returncode == 0, finished.stderr
    replayed = run_oxbot(home, ["replay"])
    assert replayed.returncode == 0, replayed.stderr
    said = ANSWERS.search(replayed.stdout)
    assert said is not None
    assert int(said[1]) > 100
    assert replayed.stdout.count("0 differences") == 3


def _demo(home: Path, market: Path, *more: str) -> Run:
    to = f"{BEGINS_AT + timedelta(days=DAYS):%Y-%m-%d}"
    finished = run_oxbot(home, demo_arguments(market, SYMBOLS, *ADVISED, "--to", to, *more))
    assert finished.returncode == 0, finished.stderr
    return Run(json.loads(finished.stdout), finished.stderr, home)


async def _recorded(home: Path) -> tuple[list[BotFact], int]:
    """The first bot's facts, and how many calls were begun; each of them has ended."""
    dsn = embedded_postgres.start(home / "postgres")
    try:
        async with await open_pool(dsn, size=1, application_name="tests") as pool:
            log = PostgresEventLog(pool, Codec())
            facts = [event.fact for event in await log.read_stream(bot_stream(BotId("one-1")))]
            calls = [event.fact for event in await log.read_stream(MODELS_STREAM)]
    finally:
        embedded_postgres.stop(home / "postgres")
    begun = sum(isinstance(fact, ModelCallBegun) for fact in calls)
    assert begun == sum(isinstance(fact, ModelCallEnded) for fact in calls)
    return facts, begun  # type: ignore[return-value]  # a bot's stream


async def _all_requests(home: Path) -> list[datetime]:
    """When which bot asked."""
    dsn = embedded_postgres.start(home / "postgres")
    try:
        async with await open_pool(dsn, size=1, application_name="tests") as pool:
            events = await PostgresEventLog(pool, Codec()).read_all(types=["advice.requested"])
    finally:
        embedded_postgres.stop(home / "postgres")
    return [event.occurred_at for event in events]
