"""Any life of an advised bot, whatever its model answers and whenever: its books hold, and its exits need no answer."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from events.advice import AdviceLapsed, AdviceReceived, AdviceRequested, AdviceTaken
from events.bot import BotFact, DecisionMade, OrderProgress, OrderRequested, PositionLiquidated
from events.identifiers import AdviceId, Symbol
from events.values import Parameter
from oxbot.core.advice_snapshot import WINDOW
from oxbot.core.bot import WithdrawCapital
from oxbot.core.candles import Frame
from oxbot.core.market_view import CandleWindow
from oxbot.core.money import ZERO, exact, floor_to_step
from oxbot.core.strategies.advised import Advised
from oxbot.core.strategy import BoundStrategy, Signal, Strategies, StrategyState
from tests.core.advised_lives import Advisor, advised, advised_life, answer, asked, parameters
from tests.core.life_strategies import EVERYTHING, TICKS, Script, scripts
from tests.core.lives import Life
from tests.core.test_lives import UNIT, check, check_whole
from tests.examples import some

Said = dict[tuple[Symbol, datetime], Signal]


class Overheard(NamedTuple):
    """``model``, of which every signal is noted."""

    said: Said
    name: str = Advised.name
    version: int = Advised.version

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Those of ``model``."""
        return Advised().parameters(given)

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """``model``, overheard."""
        return _Overheard(Advised().bind(parameters), self.said)


class _Overheard:
    def __init__(self, inner: BoundStrategy, said: Said) -> None:
        self._inner = inner
        self._said = said
        self.window = inner.window
        self.size_fraction_max = inner.size_fraction_max
        self.advice = getattr(inner, "advice")  # noqa: B009 - an advised strategy has it

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        signal = self._inner.observe(window, state)
        if signal is not None and window.last is not None:
            self._said[window.symbol, window.last.open_time] = signal
        return signal


class Repeating(NamedTuple):
    """A strategy that nobody advises; it says at each candle what ``model`` said there."""

    said: Said
    name: str = Advised.name
    version: int = Advised.version
    window: int = WINDOW
    size_fraction_max: Decimal = ZERO

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Those of ``model``."""
        return Advised().parameters(given)

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """Itself."""
        del parameters
        return self

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """What was said at this candle."""
        del state
        last = window.last
        return None if last is None else self.said.get((window.symbol, last.open_time))


def live(life: Life, script: Script, advisor: Advisor | None) -> None:
    """Live the script, each candle checked as it happened; between candles the advisor speaks."""
    for event in script.events:
        if isinstance(event, Frame):
            step = life.see(event)
            with exact():
                check(life, step)
            for fact in advisor.speaks(life.facts, life.view) if advisor else ():
                answer(life, fact)
        elif event is EVERYTHING:
            free = floor_to_step(life.state.free, UNIT)
            if free > 0:
                life.tell(WithdrawCapital(free))
        else:
            life.ask(event)
    with exact():
        check_whole(life)


@st.composite
def advised_scripts(draw: st.DrawFn) -> Script:
    """A whole life of an advised bot, without the answers."""
    script = draw(scripts(size_max=24))
    shorts = any(each.kind == "perpetual" for each in script.command.market.instruments)
    return script._replace(command=advised(script.command, draw(parameters(shorts=shorts))), plan={})


def orders(facts: list[BotFact]) -> list[BotFact]:
    """What was ordered and what became of it, whatever decided it."""
    kept = [fact for fact in facts if isinstance(fact, OrderRequested | OrderProgress | PositionLiquidated)]
    return [replace(fact, decision_id=None) if isinstance(fact, OrderRequested) else fact for fact in kept]


@some(150)
@given(script=advised_scripts(), seed=st.integers(0, 2**32))
def test_whatever_is_answered_books_orders_and_facts_are_in_order(script: Script, seed: int) -> None:
    """And what is ordered is what a strategy that asks nobody would order if it wanted the same."""
    said: Said = {}
    usual = {each.symbol: TICKS[each.symbol] for each in script.command.market.instruments}
    life = advised_life(script.command, usual, Strategies(Overheard(said)))
    live(life, script, Advisor(seed))
    check_advice(life)

    alone = advised_life(script.command, usual, Strategies(Repeating(said)))
    live(alone, script, None)

    assert orders(alone.facts) == orders(life.facts)


def check_advice(life: Life) -> None:
    """One request at a time, each taken or given up at most once; one entry at most on an opinion, and while fresh."""
    requests = {fact.advice_id: fact for fact in asked(life.facts)}
    open_ids, entered = set[AdviceId](), set[tuple[AdviceId, Symbol]]()
    answered = [fact.advice_id for fact in life.facts if isinstance(fact, AdviceReceived)]
    assert len(answered) == len(set(answered))
    for fact in life.facts:
        if isinstance(fact, AdviceRequested):
            assert not open_ids
            open_ids.add(fact.advice_id)
        elif isinstance(fact, AdviceTaken | AdviceLapsed):
            open_ids.remove(fact.advice_id)
        elif isinstance(fact, DecisionMade):
            assert fact.advice_id is not None
            request = requests[fact.advice_id]
            assert request.at < fact.at < request.expires_at
            assert fact.symbol in request.symbols
            if fact.intent.startswith("enter"):
                assert (fact.advice_id, fact.symbol) not in entered
                entered.add((fact.advice_id, fact.symbol))
