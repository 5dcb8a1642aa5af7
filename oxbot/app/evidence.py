"""Why a bot decided what it did: the decision with its inputs, the gate's verdict, its orders and fills, and advice.

Everything is cited: where it stands in the log, and the hash of its leaf, by which its place in the tree is proven.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from events.advice import AdviceAbstained, AdviceLapsed, AdviceReceived, AdviceRequested, AdviceTaken
from events.bot import (
    BotFact,
    DecisionMade,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderProgress,
    OrderRejected,
    OrderRequested,
)
from events.envelope import RecordedEvent
from events.errors import BelowFloor, OxbotError
from events.identifiers import AdviceId, BotId, DecisionId, OrderId, bot_stream
from events.log import LogReader
from oxbot.app.audit_proof import Prover
from oxbot.app.candle_store import CandleStore
from oxbot.app.past import BotHistory
from oxbot.app.views import RowReader
from oxbot.core.candles import Series, window_digest
from oxbot.views.advice_rows import AdviceRow
from oxbot.views.bot_rows import order_number
from oxbot.views.rows import BotLine, DecisionRow, OrderRow, numbered

PAGE = 500
BACK_PAGE = 1000
GRACE = 50
"""So many events after the end of all its orders a decision may still lead to another: a bracket's follow at once."""

FOLLOWED_MAX = 20_000
"""So many events after a decision are looked through for what it led to."""

_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_ADVICE = (AdviceRequested, AdviceReceived, AdviceAbstained, AdviceTaken, AdviceLapsed)
_ENDS = (OrderCancelled, OrderExpired, OrderRejected)


class UnknownRecord(OxbotError):
    """The bot has no decision, or no advice, of that id."""


class Cited(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the bot's stream; ``leaf_hash`` is base64, null where the event is archived out of reach."""

    position: int
    version: int
    event_type: str
    occurred_at: datetime
    recorded_at: datetime
    leaf_hash: bytes | None
    fact: msgspec.Raw


class WindowShown(msgspec.Struct, frozen=True, kw_only=True):
    """The candles that were looked at: their number and digest, and whether those stored now still have that digest."""

    candles: int
    first: datetime | None
    last: datetime
    digest: str
    confirmed: bool


class OrderEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """An order that the decision led to, and all that the log says of it up to its end."""

    order: OrderRow | None
    events: list[Cited]


class AdviceEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The advice that the decision had before it; the texts are at ``prompt`` and ``answer`` of this advice."""

    advice: AdviceRow | None
    events: list[Cited]


class DecisionEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """A decision and what belongs to it; ``verdict`` is the gate's refusal, or the request that it let through.

    ``complete``: nothing more will follow from it.
    """

    decision: DecisionRow
    window: WindowShown
    made: Cited
    verdict: Cited | None
    orders: list[OrderEvidence]
    advice: AdviceEvidence | None
    complete: bool


class _Followed(NamedTuple):
    made: RecordedEvent
    verdict: RecordedEvent | None
    by_order: dict[OrderId, list[RecordedEvent]]
    complete: bool


class EvidenceReader:
    """Puts together what the log, the views and the candle store say of one decision."""

    def __init__(self, log: LogReader, history: BotHistory, prover: Prover, candles: CandleStore) -> None:
        self._log = log
        self._history = history
        self._prover = prover
        self._candles = candles

    async def decision(self, bot_id: BotId, decision_id: DecisionId, rows: RowReader) -> DecisionEvidence:
        """All of one decision. Raises ``UnknownRecord``."""
        number = _number_of(decision_id, "-d")
        body = await rows.row("decisions", bot_id, numbered(number))
        if body is None:
            raise UnknownRecord("the bot has nothing of that id")
        decision = msgspec.json.decode(body, type=DecisionRow)
        if decision.decision_id != decision_id:
            raise UnknownRecord("the bot has nothing of that id")
        followed = await self._followed(bot_id, decision_id, number)
        orders = [
            OrderEvidence(order=await _order(rows, bot_id, order_id), events=await self._cite(events))
            for order_id, events in followed.by_order.items()
        ]
        [made] = await self._cite([followed.made])
        verdict = await self._cite([followed.verdict] if followed.verdict else [])
        return DecisionEvidence(
            decision=decision,
            window=await self._window(followed.made, await _begins_at(rows, bot_id)),
            made=made,
            verdict=verdict[0] if verdict else None,
            orders=orders,
            advice=await self._advice(bot_id, followed.made, rows),
            complete=followed.complete,
        )

    async def advice(self, bot_id: BotId, advice_id: AdviceId, rows: RowReader) -> AdviceRow:
        """The row of one request for advice. Raises ``UnknownRecord``."""
        found = await _advice_row(rows, bot_id, advice_id)
        if found is None:
            raise UnknownRecord("the bot has nothing of that id")
        return found

    async def _followed(self, bot_id: BotId, decision_id: DecisionId, number: int) -> _Followed:
        """The decision's event, and what it led to, in the bot's stream."""
        version = await self._history.version_before(bot_id, number)
        trail, read = _Trail(decision_id), 0
        while events := await self._log.read_stream(bot_stream(bot_id), after_version=version, limit=PAGE):
            for event in events:
                trail.take(event)
                if trail.ended:
                    break
            version = events[-1].version
            read += len(events) if trail.made else 0
            if trail.ended or read > FOLLOWED_MAX:
                break
        if trail.made is None:
            raise UnknownRecord("the bot has nothing of that id")
        return _Followed(trail.made, trail.verdict, trail.by_order, trail.complete)

    async def _advice(self, bot_id: BotId, made: RecordedEvent, rows: RowReader) -> AdviceEvidence | None:
        fact = made.fact
        if not isinstance(fact, DecisionMade) or fact.advice_id is None:
            return None
        found = await self._before(bot_id, fact.advice_id, made.version)
        return AdviceEvidence(advice=await _advice_row(rows, bot_id, fact.advice_id), events=await self._cite(found))

    async def _before(self, bot_id: BotId, advice_id: AdviceId, version: int) -> list[RecordedEvent]:
        """The events of the advice before that version, looked for backwards down to its request."""
        found: list[RecordedEvent] = []
        while version > 1:
            first = max(0, version - 1 - BACK_PAGE)
            events = await self._log.read_stream(bot_stream(bot_id), after_version=first, limit=version - 1 - first)
            found = [event for event in events if _advises(event, advice_id)] + found
            if any(isinstance(event.fact, AdviceRequested) for event in found):
                break
            version = first + 1
        return found

    async def _window(self, made: RecordedEvent, begins_at: datetime) -> WindowShown:
        fact = made.fact
        assert isinstance(fact, DecisionMade)  # noqa: S101 - that is what was looked for
        stored = await self._candles.window(
            Series(fact.venue, fact.symbol, fact.timeframe), last=fact.at, count=fact.window
        )
        # A bot that began with the market has seen less than its strategy looks at.
        own = sum(candle.open_time >= begins_at for candle in stored)
        sizes = (size for size in (len(stored), own) if size)
        confirmed = next((size for size in sizes if window_digest(stored[-size:]) == fact.window_digest), 0)
        return WindowShown(
            candles=confirmed or fact.window,
            first=stored[-confirmed].open_time if confirmed else None,
            last=fact.at,
            digest=fact.window_digest,
            confirmed=confirmed > 0,
        )

    async def _cite(self, events: Sequence[RecordedEvent]) -> list[Cited]:
        return [
            Cited(
                position=event.position,
                version=event.version,
                event_type=event.event_type,
                occurred_at=event.occurred_at,
                recorded_at=event.recorded_at,
                leaf_hash=await self._leaf(event.position),
                fact=msgspec.Raw(msgspec.json.encode(event.fact)),
            )
            for event in events
        ]

    async def _leaf(self, position: int) -> bytes | None:
        try:
            return (await self._prover.event(position)).leaf_hash
        except BelowFloor:
            return None


class _Trail:
    """What follows from a decision, gathered event by event."""

    def __init__(self, decision_id: DecisionId) -> None:
        self._decision_id = decision_id
        self._working: set[OrderId] = set()
        self._quiet = 0
        self.made: RecordedEvent | None = None
        self.verdict: RecordedEvent | None = None
        self.by_order: dict[OrderId, list[RecordedEvent]] = {}
        self.ended = False

    @property
    def complete(self) -> bool:
        """Whether the verdict is there and all orders that it let through have ended."""
        return self.verdict is not None and not self._working

    def take(self, event: RecordedEvent) -> None:
        """One more event of the bot's stream; ``ended`` says that nothing more is to be looked for."""
        fact: BotFact = event.fact  # type: ignore[assignment]  # a bot's stream holds a bot's facts
        if self.made is None:
            if isinstance(fact, DecisionMade) and fact.decision_id == self._decision_id:
                self.made = event
            return
        if isinstance(fact, OrderDenied) and fact.decision_id == self._decision_id:
            self.verdict = event
            self.ended = True
        elif isinstance(fact, DecisionMade) and self.verdict is None:
            self.ended = True
        elif isinstance(fact, OrderRequested):
            self._requested(event, fact)
        elif isinstance(fact, OrderProgress) and fact.order_id in self.by_order:
            self._progressed(event, fact)
        self._quiet = self._quiet + 1 if self.complete else 0
        self.ended = self.ended or self._quiet > GRACE

    def _requested(self, event: RecordedEvent, fact: OrderRequested) -> None:
        if fact.decision_id != self._decision_id and fact.parent_id not in self.by_order:
            return
        if self.verdict is None:
            self.verdict = event
        self.by_order[fact.order_id] = [event]
        self._working.add(fact.order_id)

    def _progressed(self, event: RecordedEvent, fact: OrderProgress) -> None:
        self.by_order[fact.order_id].append(event)
        if isinstance(fact, _ENDS) or (isinstance(fact, OrderFilled) and fact.complete):
            self._working.discard(fact.order_id)


def _advises(event: RecordedEvent, advice_id: AdviceId) -> bool:
    return isinstance(event.fact, _ADVICE) and event.fact.advice_id == advice_id


def _number_of(name: str, mark: str) -> int:
    """The number at the end of an id, after the mark; whoever finds something under it compares the whole id."""
    _, _, number = name.rpartition(mark)
    if _NUMBER.fullmatch(number) is None:
        raise UnknownRecord("the bot has nothing of that id")
    return int(number)


async def _begins_at(rows: RowReader, bot_id: BotId) -> datetime:
    body = await rows.row("bots", bot_id)
    if body is None:
        raise UnknownRecord("there is no such bot")
    return msgspec.json.decode(body, type=BotLine).begins_at


async def _advice_row(rows: RowReader, bot_id: BotId, advice_id: AdviceId) -> AdviceRow | None:
    body = await rows.row("advice", bot_id, numbered(_number_of(advice_id, "-a")))
    found = None if body is None else msgspec.json.decode(body, type=AdviceRow)
    return found if found is not None and found.advice_id == advice_id else None


async def _order(rows: RowReader, bot_id: BotId, order_id: OrderId) -> OrderRow | None:
    body = await rows.row("orders", bot_id, numbered(order_number(order_id)))
    return None if body is None else msgspec.json.decode(body, type=OrderRow)
