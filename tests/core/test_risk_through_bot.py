"""Acceptance test 14, through a bot that was created, started and shown a candle: each rule alone refuses."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from events.bot import (
    BotArmed,
    BotCreated,
    BotFact,
    DayOpened,
    HighWaterRaised,
    OrderDenied,
    OrderReason,
    OrderRequested,
    TradingStateSet,
)
from events.identifiers import AccountName, BotId, FleetName, Symbol, VenueName
from events.values import (
    Bracket,
    FeeSchedule,
    Instrument,
    MarketReference,
    Parameter,
    ProfitGuard,
    RiskLimits,
    ScaleOut,
    Sizing,
    StopGuard,
)
from oxbot.core.bot import BotDecider, ObserveFrame, StartBot
from oxbot.core.candles import Frame
from oxbot.core.creation import CreateBot
from oxbot.core.entry import Fleet
from oxbot.core.market_view import CandleWindow, MarketView
from oxbot.core.risk import RULES
from oxbot.core.state import BotState, fold
from oxbot.core.strategy import Signal, Strategies, StrategyState
from tests.core.scenario import BTC, ETH, START, bought, candle, filled, instrument, moment, order_id

NOW = 40
"""The candle on which the strategy wants to enter; 39 of BTC at 100 and of ETH at 50 came before it."""

LOOSE = RiskLimits(
    position_fraction_max=Decimal(10),
    positions_max=9,
    exposure_fraction_max=Decimal(10),
    leverage_max=Decimal(10),
)
AS_ASKED = Sizing()
WANTED = Signal(intent="enter_long", measurements=(), size_fraction=Decimal("0.05"), setup="probe")
PERPETUAL = Instrument(
    symbol=BTC,
    tick=Decimal("0.01"),
    lot=Decimal("1e-8"),
    kind="perpetual",
    leverage_max=Decimal(10),
    maintenance_fraction=Decimal("0.001"),
)


class Wishing(NamedTuple):
    """A bound strategy that wants one thing of BTC, and, if asked to, of ETH, whenever nothing is held."""

    signal: Signal
    of_eth: bool
    window: int = 1
    size_fraction_max: Decimal = Decimal(0)

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        last = window.last
        is_eth = last is not None and last.close == 50
        return None if state.holding or (is_eth and not self.of_eth) else self.signal


class Probe(NamedTuple):
    """The strategy ``probe``, which has no parameters."""

    bound: Wishing
    name: str = "probe"
    version: int = 1

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        assert not given
        return ()

    def bind(self, parameters: tuple[Parameter, ...]) -> Wishing:
        assert not parameters
        return self.bound


def denials(
    limits: Mapping[str, object] | None = None,
    *,
    before: Sequence[BotFact] = (),
    btc: Instrument | None = None,
    by_older: Instrument | None = None,
    fleet: Fleet | None = None,
    leverage: str = "1",
    sizing: Sizing = AS_ASKED,
    of_eth: bool = False,
    gap: bool = False,
    account: str | None = None,
    **signal: object,
) -> list[OrderDenied]:
    """What the gate refuses of a bot of 10,000 that wants 500 of BTC; it enters where nothing is refused.

    ``by_older`` stands in for BTC in a bot that an older program created, where today's would have refused it.
    """
    decider = BotDecider(Strategies(Probe(Wishing(replace(WANTED, **_exact(signal)), of_eth))))
    created = decider.decide(
        CreateBot(
            bot_id=BotId("bot-1"),
            fleet=FleetName("fleet-1"),
            name="Bot 1",
            strategy="probe",
            parameters={},
            market=MarketReference(
                venue=VenueName("test"),
                timeframe="5m",
                begins_at=START,
                instruments=(btc or instrument(BTC), instrument(ETH)),
            ),
            capital=Decimal(10000),
            quote="USDT",
            fees=FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001")),
            limits=replace(LOOSE, **_exact(limits or {})),
            sizing=sizing,
            leverage=Decimal(leverage),
            account=AccountName(account) if account else None,
        ),
        BotState(),
    )
    if by_older is not None:
        [bot, *capital] = created
        assert isinstance(bot, BotCreated)
        created = [replace(bot, market=replace(bot.market, instruments=(by_older, instrument(ETH)))), *capital]
    state = fold([*created, *decider.decide(StartBot(), fold(created)), *before])
    facts = decider.decide(_shown(fleet, gap=gap), state)
    refused = [fact for fact in facts if isinstance(fact, OrderDenied)]
    entered = [fact for fact in facts if isinstance(fact, OrderRequested)]
    assert len(refused) + len(entered) == 1 + of_eth
    return refused


def traded(number: int, *, at: int, price: str, reason: OrderReason = "stop_loss") -> list[BotFact]:
    """One BTC bought at 100 in candle 0 and sold at that price in candle ``at``, as orders n and n + 1."""
    request = OrderRequested(
        order_id=order_id(number + 1),
        at=moment(at),
        symbol=BTC,
        side="sell",
        kind="market",
        reason=reason,
        quantity=Decimal(1),
        reduce_only=True,
    )
    entry = bought(BTC, number, quantity="1", price="100")
    return [*entry, request, filled(number + 1, at=at, quantity="1", price=price, fee="0")]


def _shown(fleet: Fleet | None, *, gap: bool) -> ObserveFrame:
    view = MarketView([BTC, ETH], capacity=NOW + 1)
    for symbol, price in ((BTC, "100"), (ETH, "50")):
        missing = {NOW - 1} if gap else set()
        view.warm(symbol, [candle(number, price) for number in range(NOW + 1) if number not in missing])
    newest = Frame(moment(NOW), ((BTC, candle(NOW, "100")), (ETH, candle(NOW, "50"))))
    return ObserveFrame(epoch=0, frame=newest, view=view, fleet=fleet)


def _exact(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: Decimal(value) if isinstance(value, str) and value[:1] in "-0123456789" else value
        for name, value in values.items()
    }


ETH_1000 = bought(ETH, 1, quantity="20", price="50")
STOPPED = traded(1, at=NOW - 3, price="99")
TWICE = [*traded(1, at=NOW - 4, price="99"), *traded(3, at=NOW - 3, price="99")]
ON_A_MARGIN = replace(PERPETUAL, maintenance_fraction=Decimal("0.05"))


def fleet(exposure: str, equity: str = "10000") -> Fleet:
    """Other bots that are long for so much."""
    return Fleet(Decimal(exposure), Decimal(exposure), Decimal(equity))


def stop_guard(pause: int) -> dict[str, object]:
    return {"stop_guard": StopGuard(stops_max=2, lookback_candles=2, pause_candles=pause)}


def profit_guard(pause: int) -> dict[str, object]:
    return {"profit_guard": ProfitGuard(trades_min=2, lookback_candles=2, return_min=Decimal(0), pause_candles=pause)}


class Case(NamedTuple):
    """What is allowed exactly at a rule's limit, and what it alone refuses, as arguments of ``denials``."""

    rule: str
    at_limit: dict[str, object]
    beyond: dict[str, object]


def limited(name: str, at_limit: object, beyond: object, **more: object) -> Case:
    """The same entry under two values of the rule's limit of the same name."""
    return Case(name, {"limits": {name: at_limit}, **more}, {"limits": {name: beyond}, **more})


def scaled_out(share: str) -> Bracket:
    """A bracket that takes this share of the position off on the way."""
    step = ScaleOut(target_fraction=Decimal("0.01"), share=Decimal(share))
    return Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal("0.04"), scale_out=(step,))


def waiting(symbol: Symbol) -> list[BotFact]:
    """An entry with a limit that no candle reaches."""
    request = OrderRequested(
        order_id=order_id(1),
        at=moment(0),
        symbol=symbol,
        side="buy",
        kind="limit",
        reason="entry",
        notional=Decimal(1),
        limit_price=Decimal(1),
    )
    return [request]


ARMED = BotArmed(until=moment(NOW + 2))
CASES = [
    Case("trading_state", {}, {"before": [TradingStateSet(state="reducing")]}),
    Case("live_arming", {"account": "okx-main", "before": [ARMED]}, {"account": "okx-main"}),
    Case("data_quality", {}, {"gap": True}),
    Case("short_selling", {"btc": PERPETUAL, "intent": "enter_short"}, {"intent": "enter_short"}),
    Case("one_position_per_symbol", {"before": waiting(ETH)}, {"before": waiting(BTC)}),
    limited("positions_max", 2, 1, before=ETH_1000),
    limited("position_fraction_max", "0.05", "0.0499999"),
    limited("exposure_fraction_max", "0.15", "0.1499999", before=ETH_1000),
    limited("net_exposure_fraction_max", "0.15", "0.1499999", before=ETH_1000),
    limited("correlated_exposure_fraction_max", "0.15", "0.1499999", before=ETH_1000),
    Case(
        "leverage_max",
        {"btc": PERPETUAL, "leverage": "5"},
        {"btc": PERPETUAL, "by_older": replace(PERPETUAL, leverage_max=Decimal("4.9")), "leverage": "5"},
    ),
    Case("free_cash", {"size_fraction": "0.99"}, {"size_fraction": "0.9999"}),
    Case("sizing", {}, {"sizing": Sizing(method="risk")}),
    Case("minimum_notional", {"btc": instrument(minimum="500")}, {"btc": instrument(minimum="500.01")}),
    limited("notional_min", "500", "500.01"),
    Case("bracket_geometry", {"stop_loss": "99", "take_profit": "101"}, {"stop_loss": "101", "take_profit": "102"}),
    Case(
        "tick_fits_bracket",
        {"btc": instrument(tick="2"), "bracket": Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal(1))},
        {"btc": instrument(tick="2.1"), "bracket": Bracket(stop_fraction=Decimal("0.02"), target_fraction=Decimal(1))},
    ),
    limited("stop_distance_min", "0.02", "0.0200001", stop_loss="98"),
    limited("stop_distance_max", "0.02", "0.0199999", stop_loss="98"),
    limited("reward_risk_min", "1.3", "1.3000001", stop_loss="98", take_profit="102.6"),
    limited("reward_fees_min", "200", "200.000001", take_profit="150"),
    limited("liquidation_distance_min", "3", "3.0000001", btc=ON_A_MARGIN, leverage="5", stop_loss="94.74"),
    limited("confidence_min", "0.65", "0.6500001", confidence="0.65"),
    limited("drawdown_max", "0.2", "0.1999999", before=[HighWaterRaised(at=moment(0), equity=Decimal(12500))]),
    limited("daily_loss_max", "0.2", "0.1999999", before=[DayOpened(at=moment(0), equity=Decimal(12500))]),
    limited("trades_per_day_max", 2, 1, before=ETH_1000),
    limited("entries_per_cycle_max", 2, 1, of_eth=True),
    limited("cooldown_candles", 3, 4, before=STOPPED),
    Case("stop_guard", {"limits": stop_guard(3), "before": TWICE}, {"limits": stop_guard(4), "before": TWICE}),
    Case("profit_guard", {"limits": profit_guard(3), "before": TWICE}, {"limits": profit_guard(4), "before": TWICE}),
    Case("order_validity", {"bracket": scaled_out("1")}, {"bracket": scaled_out("1.1")}),
    limited("fleet_exposure_max", "0.4", "0.3999999", fleet=fleet("7500")),
    limited("fleet_net_exposure_max", "0.4", "0.3999999", fleet=fleet("7500")),
]

each_case = pytest.mark.parametrize("case", CASES, ids=[case.rule for case in CASES])


@each_case
def test_acceptance_14_exactly_at_its_limit_the_bot_enters(case: Case) -> None:
    assert denials(**case.at_limit) == []  # type: ignore[arg-type]  # the arguments of one case


@each_case
def test_acceptance_14_beyond_it_that_rule_alone_refuses(case: Case) -> None:
    assert [denial.rule for denial in denials(**case.beyond)] == [case.rule]  # type: ignore[arg-type]  # likewise


def test_acceptance_14_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(RULES)
