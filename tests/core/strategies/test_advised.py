"""From a model's opinion to what is asked for: sizes, stops and targets are made here, whatever the model says."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.advice import Opinion, OpinionAction
from events.identifiers import ModelName, Symbol
from events.values import PositionSide
from oxbot.core.candles import Candle
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategies import built_in
from oxbot.core.strategies.advised import HALF
from oxbot.core.strategy import (
    AdviceTerms,
    BoundStrategy,
    Holding,
    InvalidParameter,
    Signal,
    StrategyState,
    advice_terms,
)

BTC = Symbol("BTC/USDT")
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
CANDLES = 300
RANGE = Decimal(10)
"""Every candle is from 995 to 1005, so that the average range is 10 and the newest close 1000."""


def bound(**parameters: str) -> BoundStrategy:
    """``model`` under these parameters; it may sell short."""
    return built_in().bind(built_in().refer("model", {"allow_short": "true", **parameters}))


def window(count: int = CANDLES) -> CandleWindow:
    """So many equal candles."""
    seen = CandleWindow(CANDLES, symbol=BTC, timeframe=timedelta(minutes=5))
    for number in range(count):
        opened, high, low = Decimal(1000), Decimal(1005), Decimal(995)
        seen.push(Candle(BEGIN + number * timedelta(minutes=5), opened, high, low, opened, Decimal(1)))
    return seen


WINDOW = window()


def said(action: OpinionAction, *, weight: int = 1000, confidence: int = 80, level: str | None = None) -> Opinion:
    """An opinion on BTC/USDT."""
    invalidation = None if level is None else Decimal(level)
    return Opinion(
        symbol=BTC, action=action, weight=weight, confidence=confidence, horizon=60, invalidation=invalidation
    )


def asked(opinion: Opinion | None, side: PositionSide | None = None, **parameters: str) -> Signal | None:
    """What it wants on the opinion, while it is flat or holds one unit bought or sold at 1000."""
    holding = None if side is None else Holding(side, Decimal(1), Decimal(1000), BEGIN, 3, "model_long")
    return bound(**parameters).observe(WINDOW, StrategyState(holding, symbol=BTC, opinion=opinion))


def entry(opinion: Opinion, **parameters: str) -> Signal:
    """The entry that it wants on the opinion."""
    signal = asked(opinion, None, **parameters)
    assert signal is not None
    return signal


def test_it_says_whom_it_asks_and_how() -> None:
    assert advice_terms(bound(model="deep-1", template="trader", every="6", valid="3")) == AdviceTerms(
        model=ModelName("deep-1"), template="trader", every=6, valid_candles=3
    )


def test_without_an_opinion_it_wants_nothing() -> None:
    assert asked(None) is None
    assert asked(None, "long") is None


def test_before_enough_candles_are_known_it_wants_nothing() -> None:
    short = window(CANDLES - 1)
    assert bound().observe(short, StrategyState(symbol=BTC, opinion=said("long"))) is None


def test_a_market_that_stands_still_is_not_entered() -> None:
    """There is no range to put a stop at."""
    still = CandleWindow(CANDLES, symbol=BTC, timeframe=timedelta(minutes=5))
    for number in range(CANDLES):
        price = Decimal(1000)
        still.push(Candle(BEGIN + number * timedelta(minutes=5), price, price, price, price, Decimal(1)))
    assert bound().observe(still, StrategyState(symbol=BTC, opinion=said("long"))) is None


def test_a_long_is_bracketed_by_average_ranges() -> None:
    signal = entry(said("long"))
    assert (signal.intent, signal.setup) == ("enter_long", "model_long")
    assert (signal.stop_loss, signal.take_profit) == (Decimal(980), Decimal(1040))
    assert signal.confidence == Decimal("0.8")


def test_a_short_is_bracketed_the_other_way() -> None:
    signal = entry(said("short"), stop_atr="1", target_atr="3")
    assert signal.intent == "enter_short"
    assert (signal.stop_loss, signal.take_profit) == (Decimal(1010), Decimal(970))


@pytest.mark.parametrize(("weight", "size"), [(1, "0.0001"), (500, "0.05"), (1000, "0.1"), (10_000, "0.1")])
def test_the_weight_can_only_make_an_entry_smaller(weight: int, size: str) -> None:
    assert entry(said("long", weight=weight)).size_fraction == Decimal(size)


@pytest.mark.parametrize(
    ("level", "stop"),
    [
        ("985", "985"),
        ("970", "970"),
        ("960", "960"),
        ("959.9", "980"),
        ("995", "995"),
        ("995.1", "980"),
        ("1000", "980"),
        ("1010", "980"),
        ("1e-9", "980"),
        ("1e30", "980"),
    ],
)
def test_a_models_level_is_the_stop_only_on_the_right_side_and_about_as_far(level: str, stop: str) -> None:
    assert entry(said("long", level=level)).stop_loss == Decimal(stop)


def test_a_models_level_is_the_stop_of_a_short_too() -> None:
    assert entry(said("short", level="1015")).stop_loss == Decimal(1015)
    assert entry(said("short", level="985")).stop_loss == Decimal(1020)


@pytest.mark.parametrize(
    ("opinion", "parameters"),
    [
        (said("long", confidence=59), {}),
        (said("long", confidence=99), {"confidence_min": "100"}),
        (said("long", weight=0), {}),
        (said("short"), {"allow_short": "false"}),
        (said("hold"), {}),
        (said("reduce"), {}),
        (said("close"), {}),
    ],
)
def test_what_does_not_suffice_for_an_entry(opinion: Opinion, parameters: dict[str, str]) -> None:
    assert asked(opinion, None, **parameters) is None


@pytest.mark.parametrize(
    ("action", "side", "intent"),
    [
        ("close", "long", "exit"),
        ("close", "short", "exit"),
        ("reduce", "long", "reduce"),
        ("short", "long", "exit"),
        ("long", "short", "exit"),
        ("long", "long", None),
        ("short", "short", None),
        ("hold", "long", None),
    ],
)
def test_what_is_done_with_what_is_held(action: OpinionAction, side: PositionSide, intent: str | None) -> None:
    signal = asked(said(action, confidence=0, weight=0), side, allow_short="false")
    assert (signal.intent if signal else None) == intent
    assert signal is None or signal.reduce_fraction == (HALF if intent == "reduce" else 1)


def test_that_it_says_close_need_not_be_followed_but_that_it_is_against_is() -> None:
    assert asked(said("close"), "long", follow_close="false") is None
    assert asked(said("reduce"), "long", follow_close="false") is None
    against = asked(said("short"), "long", follow_close="false")
    assert against is not None
    assert against.intent == "exit"


@given(
    opinion=st.builds(
        Opinion,
        symbol=st.just(BTC),
        action=st.sampled_from(["hold", "long", "short", "reduce", "close"]),
        weight=st.integers(0, 10_000),
        confidence=st.integers(0, 100),
        horizon=st.integers(0, 10_080),
        invalidation=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
        reason=st.text(max_size=280),
    )
)
def test_no_opinion_leads_to_more_than_its_parameters_allow(opinion: Opinion) -> None:
    signal = asked(opinion)
    if signal is None:
        return
    assert signal.stop_loss is not None
    assert signal.take_profit is not None
    assert 0 < signal.size_fraction <= Decimal("0.1")
    assert RANGE / 2 <= abs(1000 - signal.stop_loss) <= 4 * RANGE
    assert (signal.stop_loss < 1000) == (signal.intent == "enter_long")
    assert abs(1000 - signal.take_profit) == 4 * RANGE
    assert opinion.reason == "" or len(opinion.reason) < 6 or opinion.reason not in signal.reason


@pytest.mark.parametrize(
    "given",
    [{"model": "a model"}, {"model": ""}, {"model": "m" * 65}, {"model": "m\n"}, {"window": "299"}, {"every": "0"}],
)
def test_parameters_that_no_bot_can_have_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        built_in().refer("model", given)
