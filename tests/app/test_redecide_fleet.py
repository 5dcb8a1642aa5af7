"""Deciding again what a limit of the whole fleet decided: what the others had at stake stands in the log."""

from decimal import Decimal

import msgspec
import pytest

from events.bot import BotFact, DecisionMade, OrderDenied, OrderRequested
from oxbot.app.redecide import redecide
from oxbot.core.bot import ObserveFrame
from oxbot.core.entry import Fleet
from oxbot.core.market_view import MarketView
from oxbot.core.state import fold
from tests.app.fakes import market, stored, written
from tests.core.scenario import BOT, DECIDER, LIMITS, created, running

pytestmark = pytest.mark.anyio

FRAMES = market(60, seed=7)
CROWDED = Fleet(Decimal(60_000), Decimal(-100), Decimal(10_000))
LIMITED = [created(limits=msgspec.structs.replace(LIMITS, fleet_exposure_max=Decimal(2))), *running()[1:]]


def lived_among(fleet: Fleet) -> list[BotFact]:
    """The life of a bot whose entries count what the others of its fleet have at stake."""
    facts, state = list(LIMITED), fold(LIMITED)
    view = MarketView.of(state.configuration.market, capacity=DECIDER.window(state))
    for frame in FRAMES:
        view.push(frame)
        caused = DECIDER.decide(ObserveFrame(0, frame, view, fleet=fleet), state)
        facts += caused
        state = fold(caused, state)
    return facts


async def test_an_entry_that_the_fleet_left_no_room_for_is_refused_again() -> None:
    facts = lived_among(CROWDED)
    denied = [fact.rule for fact in facts if isinstance(fact, OrderDenied)]
    assert set(denied) == {"fleet_exposure_max"}

    result = await redecide(BOT, log=await written(facts), candles=await stored(FRAMES), decider=DECIDER)

    assert (result.difference, result.decisions) == (None, len(denied))


async def test_other_figures_of_the_fleet_than_those_that_were_known_are_found() -> None:
    facts = lived_among(CROWDED)
    place = next(number for number, fact in enumerate(facts) if isinstance(fact, DecisionMade))
    facts[place] = msgspec.structs.replace(facts[place], fleet_exposure=Decimal(0))

    result = await redecide(BOT, log=await written(facts), candles=await stored(FRAMES), decider=DECIDER)

    assert result.difference is not None
    assert facts[place] in result.difference.recorded
    assert [type(fact) for fact in result.difference.decided] == [DecisionMade, OrderRequested]
