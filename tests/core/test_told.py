"""What people tell a bot beside starting it: to stop and keep, to leave, to be put away, to go by other terms."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import BotArchived, BotConfigured, BotStopped, DecisionMade, ExitOrdered, OrderFilled, TermsTaken
from events.identifiers import Symbol
from events.values import RiskLimits, Sizing
from oxbot.core.bot import (
    ArchiveBot,
    BotCommand,
    BotDecider,
    CommandRefused,
    ConfigureBot,
    OrderExit,
    PauseBot,
    StartBot,
    StopBot,
    ViewTooShort,
)
from oxbot.core.creation import InvalidCommand
from oxbot.core.market_view import MarketView
from oxbot.core.risk import InvalidLimits
from oxbot.core.strategies import built_in
from oxbot.core.strategy import InvalidParameter
from tests.core.lives import BOT, BRACKET, BTC, LOOSE, Life, Wish, at, candle, creation, entered, requests

ETH = Symbol("ETH/USDT")
ASKS = {**at(0, Wish()), **at(2, Wish()), **at(4, Wish())}


def reasons(life: Life) -> list[str]:
    """Why the bot traded, in order."""
    orders = {fact.order_id: fact for fact in requests(life.facts)}
    return [orders[fact.order_id].reason for fact in life.facts if isinstance(fact, OrderFilled)]


def refused(life: Life, command: BotCommand) -> str:
    with pytest.raises(CommandRefused) as found:
        life.tell(command)
    return str(found.value)


def test_a_stopped_bot_that_keeps_what_it_holds_leaves_it_to_its_stop_and_target() -> None:
    life = entered()
    assert life.tell(StopBot("enough", policy="keep")) == [BotStopped(reason="enough", policy="keep")]
    life.see_candles([candle(2, "100"), candle(3, "101")])
    assert BTC in life.state.ledger.positions
    life.see_candles([candle(4, "101 105 101 104")])
    assert reasons(life) == ["entry", "take_profit"]
    assert life.state.idle_at(candle(5, "1").open_time)


def test_it_enters_nothing_more_and_its_strategy_is_not_asked() -> None:
    life = entered({**at(3, Wish(), Wish(intent="exit")), **at(5, Wish())})
    life.tell(StopBot(policy="keep"))
    life.see_candles(
        [candle(2, "100"), candle(3, "100"), candle(4, "104 105 104 104"), candle(5, "100"), candle(6, "9")]
    )
    assert [fact.intent for fact in life.facts if isinstance(fact, DecisionMade)] == ["enter_long"]


def test_a_time_limit_still_ends_what_is_kept() -> None:
    life = Life.of(creation(), at(0, Wish(bracket=replace(BRACKET, candles_max=2))))
    life.see_candles([candle(0, "100"), candle(1, "100")])
    life.tell(StopBot(policy="keep"))
    life.see_candles([candle(number, "100") for number in range(2, 5)])
    assert reasons(life)[-1:] == ["time_limit"]


def test_one_that_keeps_can_still_be_told_to_close_and_not_the_other_way_round() -> None:
    life = entered()
    life.tell(StopBot(policy="keep"))
    assert life.tell(StopBot(policy="keep")) == []
    assert life.tell(StopBot(policy="close")) == [BotStopped()]
    assert life.tell(StopBot(policy="keep")) == []
    life.see_candles([candle(2, "100"), candle(3, "100")])
    assert reasons(life) == ["entry", "bot_stopped"]


def test_what_somebody_orders_to_be_left_is_sold_at_the_next_open_whatever_the_strategy_wants() -> None:
    life = entered(at(4, Wish()))
    life.tell(OrderExit((BTC,), "news"))
    assert life.facts[-1] == ExitOrdered(symbols=(BTC,), reason="news")
    life.see_candles([candle(2, "100"), candle(3, "101")])
    assert reasons(life) == ["entry", "force_exit"]
    assert life.state.leaving == ()
    assert life.state.status == "running"
    life.see_candles([candle(4, "101"), candle(5, "101")])
    assert reasons(life) == ["entry", "force_exit", "entry"], "it goes on trading"


@pytest.mark.parametrize("halted", [PauseBot(), StopBot(policy="keep")])
def test_it_is_left_by_a_bot_that_is_paused_or_stopped_as_well(halted: BotCommand) -> None:
    life = entered()
    life.tell(halted)
    life.tell(OrderExit())
    life.see_candles([candle(2, "100"), candle(3, "100")])
    assert reasons(life) == ["entry", "force_exit"]


def test_an_order_to_leave_ends_with_the_position_that_it_was_about() -> None:
    """The stop was faster; what is bought later is nobody's to leave."""
    life = entered(at(3, Wish()))
    life.tell(OrderExit())
    life.see_candles([candle(2, "100 100 97 97")])
    assert reasons(life) == ["entry", "stop_loss"]
    assert life.state.leaving == ()
    life.see_candles([candle(3, "97"), candle(4, "97"), candle(5, "97")])
    assert BTC in life.state.ledger.positions


def test_nothing_is_left_twice_or_where_nothing_is_held() -> None:
    life = entered()
    life.tell(OrderExit())
    assert life.tell(OrderExit((BTC,))) == []
    assert refused(life, OrderExit((ETH,))) == f"bot {BOT} holds nothing in ETH/USDT"
    assert refused(Life.of(creation(), {}), OrderExit()) == f"bot {BOT} holds nothing"


def test_a_bot_is_put_away_once_it_is_stopped_and_flat() -> None:
    life = entered()
    assert refused(life, ArchiveBot()) == f"bot {BOT} is running; only a stopped bot can be archived"
    life.tell(StopBot())
    assert refused(life, ArchiveBot()) == f"bot {BOT} still holds positions or has orders at work"
    life.see_candles([candle(2, "100"), candle(3, "100")])
    assert life.tell(ArchiveBot("old")) == [BotArchived(reason="old")]
    assert life.state.archived
    assert life.tell(ArchiveBot()) == []


def test_other_terms_count_from_the_next_candle_that_is_decided_on() -> None:
    life = Life.of(creation(), ASKS)
    life.see_candles([candle(0, "100"), candle(1, "100")])
    tight = replace(LOOSE, positions_max=1, trades_per_day_max=1)
    assert life.tell(ConfigureBot(limits=tight, name="Bot 1")) == [BotConfigured(limits=tight)]
    assert life.state.configuration.limits == LOOSE
    [step] = life.see_candles([candle(2, "100")])
    assert step.facts[0] == TermsTaken(at=candle(2, "1").open_time)
    assert life.state.configuration.limits == tight
    assert life.state.proposed is None
    assert not any(isinstance(fact, TermsTaken) for fact in life.see_candles([candle(3, "100")])[0].facts)


def test_terms_that_were_not_taken_yet_add_up_and_the_last_word_on_each_holds() -> None:
    life = Life.of(creation(), {})
    life.tell(ConfigureBot(name="Two", sizing=Sizing(method="risk")))
    life.tell(ConfigureBot(name="Three"))
    life.see_candles([candle(0, "100")])
    assert life.state.sizing == Sizing(method="risk")
    assert life.state.proposed is None


def test_a_name_is_the_bots_at_once_also_of_one_that_was_stopped() -> None:
    life = Life.of(creation(), {})
    life.tell(ConfigureBot(name="Two"))
    assert life.state.configuration.name == "Two"
    assert life.state.proposed is None
    life.tell(StopBot())
    life.tell(ConfigureBot(name="Three"))
    assert life.state.configuration.name == "Three"


def test_what_is_no_news_is_no_fact() -> None:
    life = Life.of(creation(), {})
    assert life.tell(ConfigureBot(name="Bot 1", limits=LOOSE, parameters={})) == []


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (ConfigureBot(name=" "), InvalidCommand),
        (ConfigureBot(limits=replace(LOOSE, positions_max=0)), InvalidLimits),
        (ConfigureBot(limits=RiskLimits(leverage_max=Decimal(2))), InvalidCommand),
        (ConfigureBot(parameters={"size_fraction": "0.9"}), InvalidCommand),
        (ConfigureBot(parameters={"fast": "0"}), InvalidParameter),
    ],
)
def test_terms_that_no_bot_can_have_are_refused(command: ConfigureBot, error: type[Exception]) -> None:
    limits = RiskLimits(leverage_max=Decimal(3))
    life = Life(creation(strategy="ema_cross", limits=limits, leverage="1"), built_in())
    life.state = replace(life.state, created=replace(life.state.configuration, leverage=Decimal(3)))
    with pytest.raises(error):
        life.tell(command)


def test_a_bot_that_was_stopped_is_given_no_terms() -> None:
    life = Life.of(creation(), {})
    life.tell(StopBot())
    assert "stopped for good" in refused(life, ConfigureBot(sizing=Sizing(method="risk")))


def test_parameters_that_look_further_back_need_a_longer_view_before_they_count() -> None:
    decider = BotDecider(built_in())
    life = Life(creation(strategy="ema_cross", parameters={"fast": "2", "slow": "5", "lookback": "10"}), built_in())
    before = decider.window(life.state)
    life.tell(ConfigureBot(parameters={"fast": "2", "slow": "5", "lookback": "60"}))
    needed = decider.window(life.state)
    assert needed > before
    with pytest.raises(ViewTooShort) as short:
        life.see_candles([candle(0, "100")])
    assert short.value.count == needed
    life.view = MarketView.of(life.state.configuration.market, capacity=needed)
    [step] = life.see_candles([candle(0, "100")])
    assert step.facts == [TermsTaken(at=candle(0, "1").open_time)]


def test_starting_it_again_changes_no_terms() -> None:
    life = Life.of(creation(), {})
    life.tell(ConfigureBot(sizing=Sizing(method="risk")))
    life.tell(PauseBot())
    life.tell(StartBot())
    assert life.state.proposed == BotConfigured(sizing=Sizing(method="risk"))
