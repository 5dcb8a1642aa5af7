"""A bot as of any position is what the views were when they had come to there, whatever was kept on the way."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.bot import BotFact
from events.codec import Codec
from events.envelope import NewEvent, RecordedEvent
from events.identifiers import BotId, StreamId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from oxbot.adapters.memory_pasts import MemoryPasts
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.bots import UnknownBot
from oxbot.app.past import BotHistory, BrokenPast, KeptPast
from oxbot.app.past_rows import NotOfThePast, PastRows
from oxbot.app.projection import ProjectionRunner
from oxbot.app.views import RowReader
from oxbot.views.past import GROWING, WHOLE
from oxbot.views.rows import ViewName
from tests.core import market_strategies as markets
from tests.core.live import bought as live_bought
from tests.core.live import clock, report
from tests.core.live import fill as live_fill
from tests.core.scenario import BOT, START, bought, filled, moment, running
from tests.core.scenario import BTC as SYMBOL
from tests.views.test_any_life import Lived
from tests.views.test_any_trading_life import lives
from tests.views.trading import asked, fill, trader

pytestmark = pytest.mark.anyio

STREAM = bot_stream(BOT)
EVERY = 5
LIVES = st.builds(Lived, markets.bots(), markets.scripts()).map(lambda life: life.facts)
TRADING = lives().map(lambda life: life.facts)


class Fixture:
    """A log with one bot and its views, and others' facts in between."""

    def __init__(self, *, every: int = EVERY) -> None:
        self.log = MemoryEventLog(Codec())
        self.views = MemoryViews(self.log)
        self.pasts = MemoryPasts(self.log)
        self.projection = ProjectionRunner(self.log, self.views)
        self.history = BotHistory(self.log, self.pasts, every=every)

    async def say(self, *facts: BotFact, stream: StreamId = STREAM) -> None:
        """Append the facts, each at an occurrence time of its own candle, as the tests of the views do."""
        events = [
            NewEvent(event_id=new_event_id(), occurred_at=getattr(fact, "at", None) or START, fact=fact)
            for fact in facts
        ]
        await self.log.append(stream, events, expected=ANY_VERSION)

    async def rows_at(self, position: int) -> dict[ViewName, list[tuple[str, bytes]]]:
        """Every row that can be asked for as of the position."""
        past = await self.history.at(BOT, position)
        async with self.views.snapshot() as views:
            return await rows_of(PastRows(BOT, past, views, position))


async def rows_of(reader: RowReader) -> dict[ViewName, list[tuple[str, bytes]]]:
    """Every row of the views that have a past."""
    found: dict[ViewName, list[tuple[str, bytes]]] = {}
    for view in sorted(WHOLE | GROWING):
        rows = await reader.rows(view, BOT, limit=10_000)
        down = await reader.rows(view, BOT, limit=10_000, descending=True)
        # A row without a key comes after no key.
        assert [row for row in down if row.key] == rows[::-1]
        for row in down:
            assert await reader.row(view, BOT, row.key) == row.body
        found[view] = [(row.key, row.body) for row in down]
    return found


async def check_every_position(facts: Sequence[BotFact]) -> None:
    """Project fact by fact, and compare at the end what was then with what is said of then."""
    fixture = Fixture()
    then: list[dict[ViewName, list[tuple[str, bytes]]]] = []
    for fact in facts:
        await fixture.say(fact)
        await fixture.projection.catch_up()
        then.append(await rows_of(fixture.views))
    for position, rows in enumerate(then, start=1):
        assert await fixture.rows_at(position) == rows, position


@given(facts=st.one_of(LIVES, TRADING))
@settings(max_examples=40, deadline=None)
def test_as_of_any_position_is_the_views_projected_up_to_there(facts: Sequence[BotFact]) -> None:
    asyncio.run(check_every_position(facts))


def test_a_live_bots_past_is_as_exact_though_its_venue_tells_late() -> None:
    life = live_bought()
    report(
        life,
        live_fill(2, "t2", "4", "98", when=clock(3, 60)),
        live_fill(2, "t3", "6", "97", when=clock(1, 60)),
    )
    asyncio.run(check_every_position(life.facts))


async def test_a_page_of_the_past_begins_and_ends_where_it_is_asked_to() -> None:
    fixture = Fixture()
    await fixture.say(*trader())
    for number in range(1, 9):
        await fixture.say(
            asked(number, "buy" if number % 2 else "sell", "1", at=number, reduces=number % 2 == 0),
            fill(number, "1", "100", at=number),
        )
    await fixture.projection.catch_up()
    position = 3 + 2 * 6
    past = await fixture.history.at(BOT, position)
    async with fixture.views.snapshot() as views:
        rows = PastRows(BOT, past, views, position)
        newest = await rows.rows("orders", BOT, limit=2, descending=True)
        older = await rows.rows("orders", BOT, after_key=newest[-1].key, limit=2, descending=True)
        last = await rows.rows("orders", BOT, after_key=older[0].key, limit=50)
        assert await rows.row("orders", BOT, f"{7:010d}") is None
        assert [int(row.key) for row in await rows.rows("trades", BOT, limit=50)] == [1, 2, 3]
        beyond = await rows.rows("orders", BOT, after_key=f"{99:010d}", limit=1, descending=True)

    assert [int(row.key) for row in (*newest, *older)] == [6, 5, 4, 3]
    assert [int(row.key) for row in last] == [5, 6]
    assert [int(row.key) for row in beyond] == [6]


async def test_what_was_kept_spares_the_fold_of_what_was_before_it() -> None:
    fixture = Fixture()
    await fixture.say(
        *running(), *bought(SYMBOL, 1, quantity="1", price="100"), *bought(SYMBOL, 2, quantity="1", price="90")
    )
    await fixture.projection.catch_up()
    whole = await fixture.history.at(BOT, 7)
    kept = await fixture.pasts.before(STREAM, 7, (await only(fixture.pasts)).fingerprint)
    assert kept is not None
    assert kept.version == EVERY

    reads: list[int] = []

    class Watched(MemoryEventLog):
        async def read_stream(
            self,
            stream: StreamId,
            *,
            after_version: int = 0,
            limit: int | None = None,
            up_to_position: int | None = None,
        ) -> Sequence[RecordedEvent]:
            reads.append(after_version)
            return await fixture.log.read_stream(
                stream, after_version=after_version, limit=limit, up_to_position=up_to_position
            )

    again = BotHistory(Watched(Codec()), fixture.pasts, every=EVERY)
    assert await again.at(BOT, 7) == whole
    assert min(read for read in reads if read) == EVERY - 1


@pytest.mark.parametrize("fault", ["state", "digest", "event"])
async def test_a_kept_past_that_is_not_right_is_not_used(fault: str) -> None:
    fixture = Fixture()
    await fixture.say(
        *running(), *bought(SYMBOL, 1, quantity="1", price="100"), *bought(SYMBOL, 2, quantity="1", price="90")
    )
    await fixture.projection.catch_up()
    right = await fixture.history.at(BOT, 7)
    kept = await only(fixture.pasts)
    wrong = {
        "state": msgspec.structs.replace(kept, state=b"\xc0"),
        "digest": msgspec.structs.replace(kept, sha256=bytes(32)),
        "event": msgspec.structs.replace(kept, event_id=new_event_id()),
    }
    await fixture.pasts.keep(wrong[fault])

    assert await fixture.history.at(BOT, 7) == right


async def test_pasts_are_kept_for_bots_that_have_come_far_and_for_no_other() -> None:
    fixture = Fixture()
    await fixture.say(*running())
    assert await fixture.history.keep_up() == 0

    await fixture.say(*bought(SYMBOL, 1, quantity="1", price="100"))
    assert await fixture.history.keep_up() == 1
    assert (await only(fixture.pasts)).version == EVERY
    assert await fixture.history.keep_up() == 0


async def test_a_decision_is_looked_for_from_the_last_past_before_it() -> None:
    fixture = Fixture()
    await fixture.say(*running(), *bought(SYMBOL, 1, quantity="1", price="100"))
    await fixture.history.keep_up()

    assert await fixture.history.version_before(BOT, 1) == EVERY
    assert await fixture.history.version_before(BOT, 0) == 0


async def test_a_stream_that_cannot_be_folded_holds_up_no_other_and_says_where() -> None:
    fixture = Fixture()
    await fixture.say(*running(), filled(9, at=1, quantity="1", price="1", fee="0"), *running())
    with pytest.raises(BrokenPast, match="positions 1 to 5: BrokenStream"):
        await fixture.history.at(BOT, 5)
    assert await fixture.history.at(BOT, 3)

    other = BotId("other")
    facts = [msgspec.structs.replace(running()[0], bot_id=other), *running()[1:], *running()[1:]]
    await fixture.say(*facts, stream=bot_stream(other))
    assert await fixture.history.keep_up() == 2
    assert (await only(fixture.pasts)).stream == bot_stream(other)


async def test_before_its_creation_there_was_no_such_bot() -> None:
    fixture = Fixture()
    await fixture.say(*running())

    with pytest.raises(UnknownBot, match="no bot bot-1 at position 0"):
        await fixture.history.at(BOT, 0)
    with pytest.raises(UnknownBot):
        await fixture.history.at(BotId("another"), 3)


async def test_nobody_is_told_of_a_past_that_there_is_not() -> None:
    fixture = Fixture()
    await fixture.say(*running())
    await fixture.projection.catch_up()
    past = await fixture.history.at(BOT, 3)
    rows = PastRows(BOT, past, fixture.views, 3)

    with pytest.raises(NotOfThePast):
        await rows.rows("advice", BOT, limit=1)
    with pytest.raises(NotOfThePast):
        await rows.row("bots", "another")
    with pytest.raises(NotOfThePast):
        await rows.across("bots", limit=1)
    assert past.state.cursor is None
    assert moment(0) == START


async def only(pasts: MemoryPasts) -> KeptPast:
    """The one past that was kept."""
    [kept] = pasts.all()
    return kept
