"""``oxbot market download`` against the local exchange: what the venue has, in the store, once."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from events.identifiers import Symbol, VenueName
from oxbot.cli.installation import open_installation
from oxbot.config import load_settings
from oxbot.core.candles import Series
from tests.e2e.conftest import Oxbot
from tests.exchange.running import Candles, exchange_inside

pytestmark = pytest.mark.anyio

BEGINS_AT = datetime(2026, 3, 2, tzinfo=UTC)
CANDLES = 400
ROWS = [(f"{50000 + n}.1", f"{50002 + n}", f"{49998 + n}", f"{50001 + n}", f"{n + 1}") for n in range(CANDLES)]


def stamp(number: int) -> str:
    return f"{BEGINS_AT + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}"


async def test_candles_are_downloaded_once_and_the_next_time_only_what_is_missing(
    tmp_path: Path, home: Path, oxbot: Oxbot, empty_database: str
) -> None:
    start = int((BEGINS_AT + timedelta(minutes=CANDLES - 1)).timestamp() * 1000)
    async with exchange_inside(tmp_path / "x", candles=Candles(BEGINS_AT, ROWS), start_ms=start, speed=0.0) as venue:

        async def download(begins: str, ends: str, symbols: str = "BTC/USDT,BTC/USDT:USDT") -> CompletedProcess[str]:
            words = ["market", "download", "--venue", "okx", "--timeframe", "1m", "--url", venue.rest_url]
            options = ["--symbols", symbols, "--from", begins, "--to", ends]
            return await asyncio.to_thread(oxbot, *words, *options, OXBOT_DATABASE_URL=empty_database)

        migrated = await asyncio.to_thread(oxbot, "db", "migrate", OXBOT_DATABASE_URL=empty_database)
        assert migrated.returncode == 0, migrated.stderr
        first = await download(stamp(0), stamp(390))
        await venue.admin.delete("/requests")
        again = await download(stamp(0), stamp(390))
        requests = (await venue.admin.get("/requests"))["requests"]
        more = await download(stamp(-10), stamp(395))
        unknown = await download(stamp(0), stamp(5), "NO/USDT")

    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert [line.partition(", sha256 ")[0] for line in lines] == [
        "BTC/USDT: 390 candles, 390 of them new",
        "BTC/USDT:USDT: 390 candles, 390 of them new",
    ]
    assert lines[0].split()[-1] != lines[1].split()[-1]
    assert again.stdout == first.stdout.replace(" 390 of them", " 0 of them")
    assert not [name for name in requests if "candles" in name]
    assert "BTC/USDT: 395 candles, 5 of them new" in more.stdout
    assert f"oxbot: BTC/USDT: no candles from {stamp(-10)} to {stamp(-1)}" in more.stderr
    assert unknown.returncode == 2
    assert "okx has no NO/USDT" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    settings = load_settings({"OXBOT_HOME": str(home), "OXBOT_DATABASE_URL": empty_database})
    async with open_installation(settings, name="test", connections=1) as installation:
        of = {name: Series(VenueName(name), Symbol("BTC/USDT"), "1m") for name in ("okx", "okx-local")}
        stored = {name: await installation.stores.candles.extent(series) for name, series in of.items()}
    assert stored["okx"] is None, "prices that a local exchange made up are no venue's own"
    assert stored["okx-local"] is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--venue", "mtgox", "--timeframe", "1m"], "the candles of mtgox are not known; there is okx, binance"),
        (["--venue", "okx", "--timeframe", "7m"], "okx has no candles of 7m"),
        (["--venue", "okx", "--timeframe", "1m", "--to", "2020-01-01"], "--from must be before --to"),
    ],
)
def test_what_cannot_be_downloaded_is_said_in_a_line(oxbot: Oxbot, arguments: list[str], words: str) -> None:
    result = oxbot("market", "download", "--symbols", "BTC/USDT", "--from", "2024-01-01", *arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
