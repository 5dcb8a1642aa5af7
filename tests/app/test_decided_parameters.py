"""By which parameters was decided: a decision that names its setup leaves them to the bot's creation."""

import pytest
from msgspec.structs import replace

from events.bot import BotFact, DecisionMade
from events.values import Parameter
from oxbot.app.redecide import redecide
from oxbot.core.strategies import built_in
from oxbot.views.rows import DecisionRow
from tests.app.fakes import facts_in, lived, market, stored, written
from tests.core.scenario import BOT, DECIDER, created, running
from tests.views.projected import of, rows_after

pytestmark = pytest.mark.anyio

FRAMES = market(60, seed=7)
HODL = built_in().refer("hodl", {"size_fraction": "0.2"})
CREATED: list[BotFact] = [replace(created(), strategy=HODL), *running()[1:]]


async def life() -> tuple[list[BotFact], int]:
    """What a bot did that buys once, and which of its facts is the one decision."""
    facts = await facts_in(await lived(FRAMES, CREATED))
    [place] = [number for number, fact in enumerate(facts) if isinstance(fact, DecisionMade)]
    return facts, place


async def test_a_decision_that_names_its_setup_repeats_no_parameters() -> None:
    facts, place = await life()
    decision = facts[place]
    assert isinstance(decision, DecisionMade)
    assert (decision.setup, decision.parameters) == ("hodl", ())


async def test_a_decision_that_names_none_says_them() -> None:
    facts = await facts_in(await lived(FRAMES))
    found = {fact.parameters for fact in facts if isinstance(fact, DecisionMade)}
    assert found == {created().strategy.parameters}


async def test_its_row_shows_those_that_the_bot_was_created_with() -> None:
    facts, _ = await life()
    [shown] = of(rows_after(facts), "decisions")
    assert isinstance(shown, DecisionRow)
    assert shown.parameters == HODL.parameters == (Parameter(name="size_fraction", value="0.2"),)


async def test_it_is_decided_again_as_it_stands() -> None:
    facts, _ = await life()
    result = await redecide(BOT, log=await written(facts), candles=await stored(FRAMES), decider=DECIDER)
    assert (result.difference, result.decisions) == (None, 1)


async def test_parameters_that_were_planted_in_it_are_found() -> None:
    facts, place = await life()
    decision = facts[place]
    assert isinstance(decision, DecisionMade)
    facts[place] = replace(decision, parameters=HODL.parameters)
    result = await redecide(BOT, log=await written(facts), candles=await stored(FRAMES), decider=DECIDER)
    assert result.difference is not None
    assert result.difference.recorded[0] == facts[place]
