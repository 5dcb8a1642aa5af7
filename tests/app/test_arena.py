"""The arena out of stored views and candles: the figures of each bot's own report, labelled by the table of models."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest

from events.bot import BotFact
from events.envelope import NewEvent
from events.identifiers import BotId, ModelName, bot_stream, new_event_id
from events.log import ANY_VERSION
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.arena import ArenaReader, cutoffs_of
from oxbot.app.equity import EquityReader, EverythingStoredIsClosed
from oxbot.app.fleet_report import BotResult, FleetReporter, FleetResult, MarketRange
from oxbot.app.models.known import SCRIPTED, KnownModel, ModelTable
from oxbot.app.projection import ProjectionRunner
from oxbot.cli.progress import result_table
from oxbot.core.bot import DepositCapital
from oxbot.core.candles import Frame
from tests.app.fakes import lived_with, market, named, stored
from tests.core.scenario import BOT, BTC, START, running
from tests.views.advising import TODAY, opinion, received, requested

pytestmark = pytest.mark.anyio

FRAMES = market(300, seed=7)
SECOND = BotId("bot-2")
DEEP = KnownModel(name=ModelName("deep"), provider_model="openai/deep", cutoff=START.date())


async def arena(*, deposits: int = 0, frames: Sequence[Frame] = FRAMES) -> tuple[ArenaReader, FleetReporter]:
    """Two bots that lived the same; the first asked a model once, and the other may have been given more money."""
    log, views = await lived_with(frames, {}, running()), MemoryViews()
    other = await lived_with(
        frames, {10: [DepositCapital(Decimal(deposits))]} if deposits else {}, named(running(), SECOND)
    )
    facts = [event.fact for event in await other.read_stream(bot_stream(SECOND), limit=100_000)]
    asked: list[BotFact] = [requested(), received(requested(), opinion(BTC))]
    for stream, more in ((bot_stream(SECOND), facts), (bot_stream(BOT), asked)):
        events = [NewEvent(event_id=new_event_id(), occurred_at=TODAY, fact=fact) for fact in more]
        await log.append(stream, events, expected=ANY_VERSION)
    await ProjectionRunner(log, views).catch_up()
    equity = EquityReader(views, await stored(frames), EverythingStoredIsClosed())
    return ArenaReader(views, equity, ModelTable([DEEP])), FleetReporter(views, equity, ModelTable([DEEP]))


async def test_every_figure_is_that_of_the_bots_own_report() -> None:
    reader, reporter = await arena()
    board = await reader.board()
    assert [line.bot_id for line in board.items] == [SECOND, BOT]
    assert board.bots == 2
    for line in board.items:
        result = await reporter.bot(line.bot_id)
        assert (line.capital, line.equity, line.fees) == (result.capital, result.equity, result.fees)
        assert (line.max_drawdown, line.trades) == (result.max_drawdown, len(result.trades))
        assert Decimal(line.max_drawdown or 0) > 0
        assert line.trades > 5


async def test_the_bot_that_paid_a_model_for_the_same_trades_is_second() -> None:
    reader, _ = await arena()
    first, second = (await reader.board()).items
    assert (first.rank, second.rank, first.contest, second.contest) == (1, 2, 1, 1)
    assert (first.pnl, first.model_cost, second.model_cost) == (second.pnl, "0", "0.002")
    assert Decimal(first.pnl_net or 0) - Decimal(second.pnl_net or 0) == Decimal("0.002")
    assert (first.contaminated, second.contaminated) == (False, True)


async def test_a_result_and_its_table_say_whose_model_had_seen_the_market() -> None:
    _, reporter = await arena()
    advised, alone = await reporter.bot(BOT), await reporter.bot(SECOND)
    assert (advised.contaminated, alone.contaminated) == (True, msgspec.UNSET)
    ran = MarketRange(begins_at=START, ends_before=TODAY, candles=300)

    def columns(*bots: BotResult) -> dict[str, list[str]]:
        table = result_table(FleetResult(market=ran, bots=bots, events=1, candles_per_second=1.0))
        return {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}

    assert columns(advised, alone)["contaminated"] == ["yes", "no"]
    assert "contaminated" not in columns(alone)
    assert b'"contaminated":true' in msgspec.json.encode(advised)
    assert b"contaminated" not in msgspec.json.encode(alone)


async def test_a_bot_that_was_given_more_on_the_way_is_shown_and_not_ranked() -> None:
    reader, reporter = await arena(deposits=500)
    first, second = (await reader.board()).items
    assert (first.bot_id, first.rank) == (BOT, 1)
    assert (second.rank, second.unranked) == (None, "capital came or went since it began")
    result = await reporter.bot(SECOND)
    assert Decimal(second.pnl) == Decimal(result.equity) - 10500
    assert second.max_drawdown == result.max_drawdown


async def test_only_the_first_lines_are_shown_and_another_fleet_is_another_board() -> None:
    reader, _ = await arena(frames=FRAMES[:50])
    few = await reader.board(limit=1)
    assert (few.bots, [line.bot_id for line in few.items]) == (2, [SECOND])
    assert (await reader.board(fleet="fleet-1")).bots == 2
    assert (await reader.board(fleet="other")).items == []


def test_a_model_is_as_contaminated_as_whoever_may_answer_in_its_stead() -> None:
    newer = KnownModel(name=ModelName("newer"), provider_model="openai/newer", cutoff=START.date() + timedelta(days=9))
    table = ModelTable(
        [
            DEEP,
            newer,
            KnownModel(name=ModelName("chain"), provider_model="openai/c", fallbacks=(DEEP.name, newer.name)),
        ]
    )
    cutoffs = cutoffs_of(table)
    assert cutoffs(ModelName("chain")) == [None, DEEP.cutoff, newer.cutoff]
    assert cutoffs(SCRIPTED) == [date.min]
    assert cutoffs(ModelName("gone")) == [None]
