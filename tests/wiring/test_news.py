"""Which sources are read for which market, and that the process that asks models reads them in its own role."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from events.codec import Codec
from events.identifiers import Symbol, VenueName, news_stream
from events.news import NewsExtracted
from events.postgres import PostgresEventLog
from oxbot.adapters.model_table import read_model_table
from oxbot.app.news.book import NewsBook, is_made_up
from oxbot.config import InvalidSetting, Secret, Settings
from oxbot.wiring.market import LiveSyntheticMarket, PlayedMarket, Speed, VenueMarket
from oxbot.wiring.models import ModelsPlan, models_plan, open_models, paced
from oxbot.wiring.news import NewsPlan, news_for, news_plan
from oxbot.wiring.stores import Database
from tests.app.fakes import at_work

pytestmark = pytest.mark.anyio

SYMBOLS = (Symbol("BTC/USDT"), Symbol("ETH/USDT"))
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
SPEED = Speed(factor=600.0, started_at=datetime.now(UTC), market_at=BEGINS_AT + timedelta(days=30))
SYNTHETIC = LiveSyntheticMarket(seed=1, timeframe="5m", symbols=SYMBOLS, begins_at=BEGINS_AT, speed=SPEED)
PLAYED = PlayedMarket(
    venue=VenueName("test"), timeframe="5m", symbols=SYMBOLS, begins_at=BEGINS_AT, ends_before=BEGINS_AT, followers=1
)
REAL = VenueMarket(venue="okx", stored_as=VenueName("okx"), timeframe="5m", symbols=SYMBOLS, begins_at=BEGINS_AT)
TABLE = """
[sources.wire]
url = "https://example.org/rss"
[sources.made-up]
seed = 3
"""


def plan(tmp_path: Path, text: str = TABLE) -> NewsPlan:
    path = tmp_path / "news.toml"
    path.write_text(text)
    return news_plan(Settings(home=tmp_path, news=path), read_model_table(None))


def test_real_news_are_for_real_markets_and_made_up_ones_for_made_up_ones(tmp_path: Path) -> None:
    found = plan(tmp_path)
    assert [source.name for source in news_for(found, REAL).sources] == ["wire"]
    assert [source.name for source in news_for(found, SYNTHETIC).sources] == ["made-up"]
    assert news_for(found, PLAYED) == NewsPlan()
    assert paced(ModelsPlan(news=found), SYNTHETIC).news.symbols == SYMBOLS


@pytest.mark.parametrize("extractor", ["nobody", "scripted"])
def test_what_reads_news_is_a_model_of_the_table(extractor: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"sources\.wire is read by"):
        plan(tmp_path, f'[sources.wire]\nurl = "https://example.org/"\nextractor = "{extractor}"\n')


async def test_the_process_that_asks_models_reads_news_which_bots_are_then_told_of(
    database: str, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    (tmp_path / "news.toml").write_text(TABLE)
    settings = Settings(home=tmp_path, news=tmp_path / "news.toml")
    whole = paced(models_plan(settings, {}), SYNTHETIC)
    log = PostgresEventLog(pool, Codec())
    async with open_models("models", whole, Database(dsn=Secret(database))) as runner, at_work(runner.run()):
        async with asyncio.timeout(60):
            while not [fact for fact in await _facts(log) if isinstance(fact, NewsExtracted)]:
                await asyncio.sleep(0.05)
    items = [fact for fact in await _facts(log) if isinstance(fact, NewsExtracted)]
    said = await NewsBook(log).sentiments(SYMBOLS, max(fact.at for fact in items), made_up=True)
    assert said
    assert is_made_up(SYNTHETIC.market().venue)
    assert await NewsBook(log).sentiments(SYMBOLS, max(fact.at for fact in items)) == {}
    assert all(BEGINS_AT + timedelta(days=29) < fact.at < BEGINS_AT + timedelta(days=60) for fact in items)


async def _facts(log: PostgresEventLog) -> list[object]:
    return [event.fact for event in await log.read_stream(news_stream("made-up"))]
