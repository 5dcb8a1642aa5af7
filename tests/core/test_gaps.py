"""Where candles are missing, and where the strategy looks at fewer than the bot itself must see."""

from collections.abc import Collection, Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from events.bot import FundingSettled
from events.values import PaperModel, Parameter, RiskLimits, Sizing
from oxbot.core.creation import CreateBot
from oxbot.core.strategy import Strategies
from tests.core.lives import (
    BTC,
    BTC_PERPETUAL,
    ETH,
    LOOSE,
    Life,
    Plan,
    Scripted,
    Telling,
    Wish,
    at,
    candle,
    creation,
    denials,
    fills,
    frame,
    perpetual,
    requests,
    spot,
)

RATE = Decimal("0.001")


class Glancing(Scripted):
    """A scripted strategy that looks at the newest candle alone."""

    def bind(self, parameters: tuple[Parameter, ...]) -> Telling:
        """What it was told."""
        assert not parameters
        return Telling(self.plan, window=1)


def glancing(command: CreateBot, plan: Plan) -> Life:
    return Life(command, Strategies(Glancing(plan)))


# Funding, whose marks are at 00:00, 08:00 and 16:00: candles 2, 4, 6 of four hours.


def funded(missing: Collection[int], *, of_one: bool = False) -> Sequence[FundingSettled]:
    """What is settled of a perpetual bought in candle 1, up to candle 7, without those candles."""
    command = creation(perpetual(), paper=PaperModel(funding_rate=RATE))
    plan = at(0, Wish(size_fraction=Decimal("0.5")), symbol=BTC_PERPETUAL)
    life = glancing(command, plan) if of_one else Life.of(command, plan)
    life.see_candles([candle(number, "100") for number in range(8) if number not in missing], BTC_PERPETUAL)
    return [fact for fact in life.facts if isinstance(fact, FundingSettled)]


@pytest.mark.parametrize("of_one", [False, True], ids=["window of three", "window of one"])
@pytest.mark.parametrize(
    ("missing", "settled"),
    [
        ((), [(2, 1), (4, 1), (6, 1)]),
        ((3,), [(2, 1), (4, 1), (6, 1)]),
        ((2,), [(3, 1), (4, 1), (6, 1)]),
        ((4, 5), [(2, 1), (6, 2)]),
        ((2, 3, 4, 5, 6), [(7, 3)]),
    ],
)
def test_funding_whose_mark_falls_in_a_hole_is_charged_with_the_next_candle(
    missing: Collection[int], settled: Sequence[tuple[int, int]], *, of_one: bool
) -> None:
    """As many marks as there were, each once."""
    found = funded(missing, of_one=of_one)
    assert [(fact.at, fact.rate) for fact in found] == [
        (candle(number, "1").open_time, RATE * marks) for number, marks in settled
    ]
    assert sum(fact.amount for fact in found) == sum(fact.amount for fact in funded(()))


# What the bot must see though its strategy does not look.


def test_a_hole_is_seen_by_a_bot_whose_strategy_looks_at_one_candle() -> None:
    life = glancing(creation(), {**at(2, Wish()), **at(3, Wish())})
    life.see_candles([candle(0, "100"), candle(2, "100")])
    assert [said.rule for said in denials(life.facts)] == ["data_quality"]
    assert len(requests(life.see_candles([candle(3, "100")])[0].facts, "entry")) == 1


def test_an_entry_is_sized_by_its_range_though_its_strategy_looks_at_one_candle() -> None:
    """A true range of 2 % of the price, so that 1 % of equity is moved by half of it."""
    sizing = Sizing(method="volatility", risk_fraction=Decimal("0.01"))
    life = glancing(creation(sizing=sizing), at(29, Wish()))
    life.see_candles([candle(number, "100 101 99 100") for number in range(31)])
    assert denials(life.facts) == []
    [entry] = requests(life.facts, "entry")
    assert entry.notional == Decimal(5000)
    assert len(fills(life.facts)) == 1


@pytest.mark.parametrize(("together", "refusals"), [(False, []), (True, ["correlated_exposure_fraction_max"])])
def test_a_correlation_is_known_though_the_strategy_looks_at_one_candle(
    *, together: bool, refusals: Sequence[str]
) -> None:
    """What moves the other way leaves room for the entry; were nothing known, it would count as moving along."""
    limits: RiskLimits = replace(LOOSE, correlated_exposure_fraction_max=Decimal("0.15"))
    plan = {**at(0, Wish(), symbol=BTC), **at(40, Wish(), symbol=ETH)}
    life = glancing(creation(spot(BTC), spot(ETH), limits=limits), plan)
    for number in range(41):
        up = number % 3 == 0
        life.see(frame(number, BTC="101" if up else "100", ETH="51" if up is together else "50"))
    assert [said.rule for said in denials(life.facts)] == refusals
    assert len(requests(life.facts, "entry")) == 2 - len(refusals)
