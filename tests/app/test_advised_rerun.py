"""A recorded life is lived again under other terms, on the answers that were given then; nobody is asked anything."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec
import pytest

from events.advice import AdviceReceived, AdviceTaken
from events.bot import BotClaimed, BotConfigured, BotFact, CapitalDeposited, DecisionMade, OrderDenied, OrderRequested
from events.errors import OxbotError
from events.identifiers import BotId
from events.values import RiskLimits
from oxbot.app.advised_rerun import AnswerMissing, NotRerunnable, Rerun, Terms, changed, rerun
from oxbot.cli.replay import life_line
from oxbot.core.strategies import built_in
from tests.app.advised_bots import AdvisedStage, advised, advised_market
from tests.app.fakes import facts_in, stored, write, written
from tests.core.scenario import BOT, LIMITS

pytestmark = pytest.mark.anyio

MARKET = advised_market()


@pytest.fixture
async def there() -> AdvisedStage:
    """An installation in which one bot has lived, advised."""
    stage = AdvisedStage(await written(advised()), await stored(MARKET))
    async with stage.serving():
        await stage.live(MARKET)
    return stage


async def again(there: AdvisedStage, terms: Terms) -> Rerun:
    """The life under these terms."""
    calls = len(there.transport.calls)
    found = await rerun(BOT, terms, log=there.log, candles=there.candles, strategies=built_in())
    assert len(there.transport.calls) == calls
    return found


def acted(facts: Sequence[BotFact]) -> list[BotFact]:
    """What the bot decided and ordered."""
    return [fact for fact in facts if isinstance(fact, DecisionMade | OrderRequested | OrderDenied | AdviceTaken)]


async def test_a_life_that_a_model_may_have_known_is_told_as_one(there: AdvisedStage) -> None:
    found = await again(there, Terms())
    (asked,) = found.asked
    assert life_line(found, "same", lambda _: [asked.first_at.date()]).endswith("no model called, contaminated: yes")
    assert life_line(found, "same", lambda _: [None]).endswith("no model called, contaminated: unknown")
    assert life_line(found, "same", lambda _: [date.min]).endswith("no model called")


async def test_under_the_same_terms_it_is_the_same_life(there: AdvisedStage) -> None:
    found = await again(there, Terms())
    recorded = [fact for fact in await facts_in(there.log) if not isinstance(fact, BotClaimed | AdviceReceived)]
    assert acted(found.facts) == acted(recorded)
    assert found.answers == sum(isinstance(fact, AdviceTaken) for fact in recorded)
    assert len(acted(recorded)) > 20


async def test_under_a_tighter_limit_the_same_opinions_lead_to_refusals(there: AdvisedStage) -> None:
    tight = msgspec.structs.replace(LIMITS, exposure_fraction_max=Decimal("0.01"))
    found = await again(there, Terms(limits=tight))
    usual = await again(there, Terms())
    assert _entries(found) == []
    assert _entries(usual) != []
    assert found.answers == usual.answers
    assert found.state.ledger.cash != usual.state.ledger.cash


async def test_under_other_parameters_the_same_opinions_lead_to_other_sizes(
    there: AdvisedStage,
) -> None:
    smaller = await again(there, Terms(parameters={"size_fraction": "0.01"}))
    usual = await again(there, Terms())
    assert smaller.answers == usual.answers
    assert smaller.state.ledger.cash != usual.state.ledger.cash


@pytest.mark.parametrize("parameters", [{"every": "7"}, {"template": "trader"}, {"model": "other"}])
async def test_a_question_that_was_not_asked_then_is_an_error(there: AdvisedStage, parameters: dict[str, str]) -> None:
    with pytest.raises(AnswerMissing, match="did not when it was recorded"):
        await again(there, Terms(parameters=parameters))


async def test_what_is_changed_is_named_by_its_path_and_all_else_is_as_the_bot_was_created_with(
    there: AdvisedStage,
) -> None:
    given = [("limits.exposure_fraction_max", "0.5"), ("parameters.size_fraction", "0.02")]
    terms = await changed(BOT, given, log=there.log)
    assert terms.limits == msgspec.structs.replace(LIMITS, exposure_fraction_max=Decimal("0.5"))
    assert terms.parameters == {"size_fraction": "0.02"}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("limits.nothing", "1", "nothing"),
        ("limits.positions_max", "many", "terms cannot be read"),
        ("nothing", "1", "none of limits.NAME"),
        ("limits.", "1", "none of limits.NAME"),
        ("limits.exposure_fraction_max", "NaN", "exposure_fraction_max"),
        ("limits.drawdown_max", "7", "at most 1"),
    ],
)
async def test_terms_that_mean_nothing_are_refused(there: AdvisedStage, path: str, value: str, words: str) -> None:
    with pytest.raises(OxbotError, match=words):
        await changed(BOT, [(path, value)], log=there.log)


async def test_nobody_changes_the_terms_of_a_bot_that_is_not_there(there: AdvisedStage) -> None:
    with pytest.raises(NotRerunnable, match="there is no bot nobody"):
        await changed(BotId("nobody"), [], log=there.log)


async def test_what_a_bot_gave_up_stays_without_an_answer() -> None:
    there = AdvisedStage(await written(advised()), await stored(MARKET))
    await there.live(MARKET, patience_seconds=0)
    found = await again(there, Terms(limits=RiskLimits()))
    assert found.answers == 0
    assert not any(isinstance(fact, DecisionMade) for fact in found.facts)


async def test_a_life_whose_terms_changed_on_the_way_cannot_be_lived_again(there: AdvisedStage) -> None:
    await write(there.log, [BotConfigured(name="Two")])
    with pytest.raises(NotRerunnable, match="was given other terms"):
        await again(there, Terms())


async def test_a_life_into_which_money_came_cannot_be_lived_again(there: AdvisedStage) -> None:
    await write(there.log, [CapitalDeposited(amount=Decimal(5), reference="later")])
    with pytest.raises(NotRerunnable, match="money came"):
        await again(there, Terms())


def _entries(found: Rerun) -> list[OrderRequested]:
    return [fact for fact in found.facts if isinstance(fact, OrderRequested) and fact.reason == "entry"]
