"""What is used of a bot's risk limits, over HTTP."""

from decimal import Decimal

import msgspec
import pytest

from events.bot import DayOpened, HighWaterRaised, TradingStateSet
from events.identifiers import bot_stream
from events.values import RiskLimits, StopGuard
from oxbot.core.candles import Series
from tests.api.stage import VENUE, Stage, json, say
from tests.core.scenario import BOT, BTC, ETH, bought, candle, created, deposited, filled, instrument, moment
from tests.views.trading import asked

pytestmark = pytest.mark.anyio

NAMES = ("limit", "used", "left", "kept")
LIMITS = RiskLimits(
    position_fraction_max=Decimal("0.6"),
    exposure_fraction_max=Decimal("0.9"),
    net_exposure_fraction_max=Decimal("0.5"),
    positions_max=2,
    drawdown_max=Decimal("0.2"),
    daily_loss_max=Decimal("0.1"),
    trades_per_day_max=4,
    cooldown_candles=10,
    stop_guard=StopGuard(stops_max=1, lookback_candles=5, pause_candles=20),
)


async def used(stage: Stage, **query: str) -> dict[tuple[str, str | None], tuple[object, ...]]:
    """Of each rule and symbol: the limit, what is used, what is left, whether it is kept."""
    async with stage.client("viewer") as client:
        response = await client.get(f"/api/v1/bots/{BOT}/risk", params=query)
    rows = msgspec.convert(json(response)["items"], list[dict[str, object]])
    return {
        (str(row["rule"]), msgspec.convert(row["symbol"], str | None)): tuple(row[name] for name in NAMES)
        for row in rows
    }


async def test_each_limit_is_shown_with_what_is_used_of_it_at_the_newest_closes(stage: Stage) -> None:
    bot = created(instrument(BTC), instrument(ETH), limits=LIMITS)
    await say(stage, bot_stream(BOT), bot, deposited("10000"), DayOpened(at=moment(0), equity=Decimal(10_000)))
    await say(stage, bot_stream(BOT), HighWaterRaised(at=moment(0), equity=Decimal(10_000)))
    await say(stage, bot_stream(BOT), *bought(BTC, 1, quantity="50", price="100"))
    candles = [candle(number, str(100 - number)) for number in range(11)]
    await stage.candles.add([(Series(VENUE, BTC, "5m"), candles)])
    await stage.project()

    found = await used(stage)

    assert found["position_fraction_max", BTC] == ("5700", "4500", "1200", True)
    assert found["exposure_fraction_max", None] == ("8550", "4500", "4050", True)
    assert found["net_exposure_fraction_max", None] == ("4750", "4500", "250", True)
    assert found["positions_max", None] == ("2", "1", "1", True)
    assert found["drawdown_max", None] == ("2000", "500", "1500", True)
    assert found["daily_loss_max", None] == ("1000", "500", "500", True)
    assert found["trades_per_day_max", None] == ("4", "1", "3", True)
    assert found["trading_state", None] == ("0", "0", "0", True)
    assert ("cooldown_candles", BTC) not in found


async def test_what_holds_a_symbol_back_says_for_how_many_candles_yet(stage: Stage) -> None:
    bot = created(instrument(BTC), instrument(ETH), limits=LIMITS)
    await say(stage, bot_stream(BOT), bot, deposited("10000"), *bought(BTC, 1, quantity="50", price="100"))
    stopped = msgspec.structs.replace(asked(2, "sell", "50", at=3, reduces=True, leverage="1"), reason="stop_loss")
    await say(stage, bot_stream(BOT), stopped, filled(2, at=4, quantity="50", price="90", fee="0"))
    await say(stage, bot_stream(BOT), TradingStateSet(state="reducing"))
    candles = [candle(number, "100") for number in range(8)]
    await stage.candles.add([(Series(VENUE, BTC, "5m"), candles)])
    await stage.project()

    found = await used(stage)

    assert found["cooldown_candles", BTC] == ("10", "3", "-7", False)
    assert found["stop_guard", BTC] == found["stop_guard", ETH] == ("20", "3", "-17", False)
    assert ("cooldown_candles", ETH) not in found
    assert found["trading_state", None][3] is False
    before = await used(stage, as_of="4")
    assert before["positions_max", None] == ("2", "1", "1", True)


async def test_every_limit_that_is_set_is_listed_in_words(stage: Stage) -> None:
    await say(stage, bot_stream(BOT), created(limits=LIMITS), deposited("10000"))
    await stage.project()
    async with stage.client("viewer") as client:
        body = json(await client.get(f"/api/v1/bots/{BOT}/risk"))

    limits = {row["limit"]: row["value"] for row in msgspec.convert(body["limits"], list[dict[str, object]])}
    assert (limits["drawdown_max"], limits["stop_guard.pause_candles"], limits["confidence_min"]) == (
        "0.2",
        "20",
        "none",
    )
    assert (body["equity"], body["free"], body["at"]) == ("10000", "10000", "2024-01-01T00:00:00Z")
