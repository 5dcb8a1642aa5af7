"""What a person says of a new bot becomes the command that creates it, on its own fees and in whole contracts."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from events.codec import Codec
from events.identifiers import BotId
from events.memory import MemoryEventLog
from events.values import FeeSchedule
from oxbot.app.bots import BotCommands
from oxbot.app.new_bot import FeeTerms, NewBot, PaperTerms, creation
from oxbot.core.creation import CreateBot, InvalidCommand
from oxbot.core.strategies import built_in
from oxbot.core.strategy import InvalidParameter
from tests.app.test_bots import FLEET, NOW, GivenMarket
from tests.core.scenario import BTC, DECIDER, FEES, instrument, moment

pytestmark = pytest.mark.anyio


def command(**said: object) -> CreateBot:
    """The command for a bot of BTC/USDT, whose market trades it in lots of 0.004."""
    market = GivenMarket()
    market.instruments = (instrument(BTC, lot="0.004"),)
    request = NewBot(name="b", symbols=(BTC,), **said)  # type: ignore[arg-type]  # a test's own fields
    return creation(request, bot_id=BotId("a"), fleet=FLEET, market=market, fees=FEES, begins_at=moment(0))


@pytest.mark.parametrize(
    ("given", "fees"),
    [
        (FeeTerms(), FEES),
        (FeeTerms(maker=Decimal("0.0002")), FeeSchedule(maker=Decimal("0.0002"), taker=Decimal("0.001"))),
        (
            FeeTerms(maker=Decimal(0), taker=Decimal("0.0004"), buys_pay_in="base"),
            FeeSchedule(maker=Decimal(0), taker=Decimal("0.0004"), buys_pay_in="base"),
        ),
    ],
)
def test_fees_are_the_markets_where_nothing_else_is_said(given: FeeTerms, fees: FeeSchedule) -> None:
    assert command(fees=given).fees == fees


@pytest.mark.parametrize(
    ("contract", "lot"), [("0.004", "0.004"), ("0.001", "0.004"), ("0.003", "0.006"), ("0.01", "0.01"), ("5", "5")]
)
def test_a_perpetual_is_traded_in_whole_contracts_that_are_no_less_than_the_markets_lot(
    contract: str, lot: str
) -> None:
    terms = PaperTerms(kind="perpetual", contract_size=Decimal(contract), maintenance_fraction=Decimal("0.01"))
    [traded] = command(instruments={BTC: terms}).market.instruments
    assert (traded.contract_size, traded.lot) == (Decimal(contract), Decimal(lot))


def test_without_a_contract_size_the_lot_is_the_markets() -> None:
    [traded] = command(instruments={BTC: PaperTerms(kind="perpetual")}).market.instruments
    assert (traded.contract_size, traded.lot) == (Decimal(1), Decimal("0.004"))


@pytest.mark.parametrize("size", ["0", "-1"])
async def test_a_contract_of_nothing_is_refused_by_name(size: str) -> None:
    terms = PaperTerms(kind="perpetual", contract_size=Decimal(size), maintenance_fraction=Decimal("0.01"))
    with pytest.raises(InvalidCommand, match="BTC/USDT: contract_size must be above 0"):
        await bots().create(NewBot(name="b", symbols=(BTC,), instruments={BTC: terms}))


async def test_fees_of_which_the_maker_pays_more_are_refused_naming_both() -> None:
    request = NewBot(name="b", symbols=(BTC,), fees=FeeTerms(taker=Decimal("0.0005")))
    with pytest.raises(InvalidCommand, match=r"fee maker 0.001 must not be above taker 0.0005"):
        await bots().create(request)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"fast": "NaN"}, "fast must be whole number, at least 2 and at most 5000, not NaN"),
        ({"fast": "1"}, "at least 2 and at most 5000, not 1"),
        ({"fast": Decimal("2.5")}, "not 2.5 (read as text: fast=2.5)"),
    ],
)
async def test_a_parameter_that_is_refused_is_told_with_its_value_and_its_bounds(
    parameters: Mapping[str, object], words: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        await bots().create(NewBot(name="b", symbols=(BTC,), parameters=parameters))
    assert words in str(refused.value)


async def test_selling_short_on_spot_alone_leaves_nothing() -> None:
    log = MemoryEventLog(Codec())
    request = NewBot(name="b", symbols=(BTC,), strategy="trinity", parameters={"allow_short": True})
    with pytest.raises(InvalidCommand, match="allow_short is true"):
        await bots(log).create(request)
    assert await log.head() == 0


def bots(log: MemoryEventLog | None = None) -> BotCommands:
    """Commands that know the strategies."""
    return BotCommands(
        log or MemoryEventLog(Codec()),
        DECIDER,
        fleet=FLEET,
        market=GivenMarket(),
        fees=FEES,
        now=lambda: NOW,
        actor="operator",
        strategies=built_in(),
    )
