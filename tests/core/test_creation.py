"""What a new bot may not be: fields that contradict each other are both named."""

from decimal import Decimal

import msgspec
import pytest

from events.bot import BotCreated
from events.identifiers import HOUSE
from events.values import Instrument, PaperModel, RiskLimits
from oxbot.core.bot import BotDecider
from oxbot.core.creation import FIELD_BOUNDS, CreateBot, InvalidCommand, check_creation
from oxbot.core.strategies import built_in
from oxbot.core.strategy import Strategies
from tests.core.life_strategies import BITCOIN
from tests.core.lives import creation, perpetual, spot

DECIDER = BotDecider(built_in())
MARGIN = perpetual(maintenance="0.015", fee="0.005")


def command(*instruments: Instrument, leverage: str = "1", **fields: object) -> CreateBot:
    """A bot of these instruments that may take any leverage."""
    bot = creation(*instruments, leverage=leverage, limits=RiskLimits(leverage_max=Decimal(125)))
    return msgspec.structs.replace(bot, **fields)


def refused(bot: CreateBot) -> str:
    """Why the bot cannot be."""
    with pytest.raises(InvalidCommand) as error:
        check_creation(bot)
    return str(error.value)


@pytest.mark.parametrize("owner", [" ", "Anna", "a b", "x" * 65, "a\x00"])
def test_an_owner_that_can_be_no_users_id_is_refused(owner: str) -> None:
    assert refused(command(spot(), owner=owner)).startswith("owner ")


def test_a_bot_is_whose_it_is_said_to_be_and_else_the_houses() -> None:
    for said, owner in (
        ({}, HOUSE),
        ({"owner": "0192f0c1d2e37a4b8c9d0e1f2a3b4c5d"}, "0192f0c1d2e37a4b8c9d0e1f2a3b4c5d"),
    ):
        wanted = command(spot(), strategy="ema_cross", parameters={}, **said)
        created = DECIDER.decide(wanted, DECIDER.initial)[0]
        assert isinstance(created, BotCreated)
        assert created.owner == owner


def test_leverage_above_what_an_instrument_takes_names_both() -> None:
    low = msgspec.structs.replace(MARGIN, leverage_max=Decimal(3))
    assert refused(command(low, leverage="5")) == f"leverage 5 is more than leverage_max 3 of {low.symbol}"
    check_creation(command(low, leverage="3"))


def test_leverage_on_spot_alone_names_the_kind() -> None:
    assert refused(command(spot(), leverage="2")) == "leverage 2 is for perpetuals, and the kind of BTC/USDT is spot"
    check_creation(command(spot(), leverage="1"))
    check_creation(msgspec.structs.replace(command(spot()), leverage=None))
    check_creation(command(MARGIN, spot(BITCOIN), leverage="2"))


def test_leverage_under_which_every_position_is_liquidated_at_once_names_what_the_margin_must_pay() -> None:
    words = refused(command(MARGIN, leverage="50"))
    assert "leverage 50 leaves a margin of 1/50" in words
    assert "maintenance_fraction and liquidation_fee of" in words
    assert "together 0.02" in words
    check_creation(command(MARGIN, leverage="49.999"))


@pytest.mark.parametrize("rate", ["0.0001", "-0.0001"])
def test_funding_on_spot_alone_names_the_kind(rate: str) -> None:
    paper = PaperModel(funding_rate=Decimal(rate))
    assert (
        refused(command(spot(), paper=paper))
        == f"paper funding_rate {rate} is for perpetuals, and the kind of BTC/USDT is spot"
    )
    check_creation(command(MARGIN, paper=paper))


@pytest.mark.parametrize("seed", [10**15, -(10**15), 10**23])
def test_a_seed_that_no_log_can_hold_is_refused(seed: int) -> None:
    assert f"paper seed must be at least -999999999999999 and at most 999999999999999, not {seed}" in refused(
        command(spot(), paper=PaperModel(seed=seed))
    )


@pytest.mark.parametrize("strategy", ["trinity", "random"])
def test_selling_short_on_spot_alone_is_refused_whatever_the_strategy_is(strategy: str) -> None:
    short = {"allow_short": "true"}
    bot = command(spot(), limits=RiskLimits(), strategy=strategy, parameters=short)
    with pytest.raises(InvalidCommand, match=r"allow_short is true, but .* the kind of BTC/USDT is spot"):
        DECIDER.decide(bot, DECIDER.initial)
    margin = command(MARGIN, limits=RiskLimits(), strategy=strategy, parameters=short)
    DECIDER.decide(margin, DECIDER.initial)
    quiet = command(spot(), limits=RiskLimits(), strategy=strategy)
    DECIDER.decide(quiet, DECIDER.initial)


def test_a_strategy_that_sells_short_unless_told_otherwise_is_refused_on_spot_too() -> None:
    trinity = built_in().named("trinity")

    class Shorting:
        name, version, bind = trinity.name, trinity.version, trinity.bind

        def parameters(self, given: object) -> object:
            del given
            return trinity.parameters({"allow_short": "true"})

    decider = BotDecider(Strategies(Shorting()))  # type: ignore[arg-type]  # it answers what a strategy does
    bot = command(spot(), limits=RiskLimits(), strategy="trinity")
    with pytest.raises(InvalidCommand, match="allow_short"):
        decider.decide(bot, decider.initial)


def test_every_bound_that_is_told_is_of_a_field_there_is() -> None:
    assert FIELD_BOUNDS["leverage"] == "at least 1 and at most 125"
    assert FIELD_BOUNDS["limits.drawdown_max"] == "above 0 and at most 1"
    assert FIELD_BOUNDS["paper.half_spread"] == "at least 0 and at most 0.1"
    known = set(PaperModel.__struct_fields__)
    assert {path.partition(".")[2] for path in FIELD_BOUNDS if path.startswith("paper.")} == known
