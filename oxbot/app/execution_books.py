"""What an execution knows of its account: the account and its bots as the log has them, the venue's time and trades."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from events.bot import (
    BotCreated,
    BotFact,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
)
from events.envelope import Fact, Metadata, NewEvent, RecordedEvent
from events.identifiers import AccountName, BotId, OrderId, account_stream, bot_stream
from events.log import EventLog
from oxbot.app.bot_runner import Superseded
from oxbot.app.clock import Clock
from oxbot.app.execution_plan import ENTRY_LATE_MAX, Key, Line, key_of, lines
from oxbot.app.execution_report import Said
from oxbot.app.handle import FoldCache, Folded, fold_stream, handle
from oxbot.app.venue import Venue, VenueFill
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState
from oxbot.core.orders import Order
from oxbot.core.reports import ForceExit, RecordProgress
from oxbot.core.venue_account import AccountState, ClaimAccount, VenueAccountCommand, VenueAccountDecider

PAGE = 1000
FILLS_KEPT = 20_000
FILLS_OVERLAP = timedelta(minutes=5)
OUR_LATE_MAX = timedelta(seconds=10)
"""The way from a candle to its order takes seconds of ours, however fast a test venue's market goes."""


class AccountBook:
    """The account as the log has it, claimed by one incarnation; it raises ``Superseded`` once a newer one has it."""

    def __init__(self, account: AccountName, *, log: EventLog, clock: Clock, holder: str) -> None:
        self.stream = account_stream(account)
        self.name = account
        self._log = log
        self._clock = clock
        self._holder = holder
        self._decider = VenueAccountDecider()
        self._folded: Folded[AccountState] = Folded(self._decider.initial, 0)
        self._epoch = 0
        self.waiting = ""
        """Why entries wait for the next comparison with the venue, though nothing of it is on record; "" if not."""

    @property
    def state(self) -> AccountState:
        """The account as far as it is known here."""
        return self._folded.state

    @property
    def epoch(self) -> int:
        """The claim under which everything here is done."""
        return self._epoch

    async def claim(self) -> None:
        """Become the newest incarnation."""
        self._folded = await fold_stream(self._log, self._decider, self.stream)
        await self._handle(ClaimAccount(self._holder))
        self._epoch = self.state.epoch

    async def refresh(self) -> AccountState:
        """The account now."""
        self._keep(await fold_stream(self._log, self._decider, self.stream, self._folded))
        return self.state

    async def record(self, command: VenueAccountCommand) -> None:
        """Append what the command leads to."""
        await self._handle(command)
        self._check()

    async def _handle(self, command: VenueAccountCommand) -> None:
        folded = await handle(
            self._log,
            self._decider,
            self.stream,
            command,
            at=self._clock.now(),
            known=self._folded,
            metadata=Metadata(actor=self._holder),
        )
        self._folded = folded if folded.version > self._folded.version else self._folded

    def _keep(self, folded: Folded[AccountState]) -> None:
        self._folded = folded if folded.version > self._folded.version else self._folded
        self._check()

    def _check(self) -> None:
        if self.state.epoch != self._epoch:
            raise Superseded(f"{self.stream}: epoch {self.state.epoch} has taken over from {self._epoch}")


class Reporting:
    """A bot's rules for what is told of its orders: whatever is told is told anew of the state that it meets."""

    def __init__(self, decider: BotDecider) -> None:
        self._decider = decider
        self.initial = decider.initial

    def evolve(self, state: BotState, fact: BotFact) -> BotState:
        """The bot after the fact."""
        return self._decider.evolve(state, fact)

    def decide(self, command: Said | ForceExit, state: BotState) -> Sequence[BotFact]:
        """The facts that are new. Raises ``CommandRefused``."""
        if isinstance(command, ForceExit):
            return self._decider.decide(command, state)
        reports = command(state)
        return self._decider.decide(RecordProgress(tuple(reports)), state) if reports else []


class BotBooks:
    """The bots of one account, each folded from its stream; ``owners`` says whose a client id is."""

    def __init__(
        self,
        account: AccountName,
        *,
        log: EventLog,
        decider: BotDecider,
        clock: Clock,
        holder: str,
        cache: FoldCache[BotState] | None = None,
    ) -> None:
        self._account = account
        self._log = log
        self._reporting = Reporting(decider)
        self._clock = clock
        self._metadata = Metadata(actor=holder)
        self._requests: dict[OrderId, RecordedEvent | NewEvent] = {}
        self._cache = cache
        self._folded: dict[BotId, Folded[BotState]] = {}
        self._turns: dict[BotId, asyncio.Lock] = {}
        self._position = 0
        self.owners: dict[str, Key] = {}

    @property
    def states(self) -> dict[BotId, BotState]:
        """Every bot as far as it is known here."""
        return {bot_id: folded.state for bot_id, folded in self._folded.items()}

    def __contains__(self, bot_id: BotId) -> bool:
        return bot_id in self._folded

    def version(self, bot_id: BotId) -> int:
        """Up to which version of its stream a bot is folded."""
        return self._folded[bot_id].version

    async def learn(self, *, up_to: int) -> None:
        """Fold every bot of the account that was created up to a position of the log."""
        while page := await self._log.read_all(
            after_position=self._position, limit=PAGE, types=("bot.created",), up_to=up_to
        ):
            self._position = page[-1].position
            for event in page:
                if isinstance(event.fact, BotCreated) and event.fact.account == self._account:
                    await self.refresh(event.fact.bot_id)

    async def refresh(self, bot_id: BotId) -> BotState:
        """The bot now."""
        known = self._folded.get(bot_id)
        stream = bot_stream(bot_id)
        folded = await fold_stream(self._log, self._reporting, stream, known, cache=self._cache, seen=self._seen)
        return self._keep(bot_id, folded)

    def _seen(self, event: RecordedEvent | NewEvent) -> None:
        """Remember whose request an order goes back to, so that what becomes of it is put down to that."""
        match event.fact:
            case OrderRequested(order_id=order_id) if event.metadata.correlation_id is not None:
                self._requests[order_id] = event
            case OrderCancelled() | OrderExpired() | OrderRejected() | OrderFilled(complete=True):
                self._requests.pop(event.fact.order_id, None)
            case _:
                pass

    async def tell(self, bot_id: BotId, said: Said | ForceExit) -> BotState:
        """Append to the bot's stream what is new of it, and what follows. Raises ``CommandRefused``."""
        async with self._turns.setdefault(bot_id, asyncio.Lock()):
            folded = await handle(
                self._log,
                self._reporting,
                bot_stream(bot_id),
                said,
                at=self._clock.now(),
                known=self._folded.get(bot_id),
                cache=self._cache,
                metadata=self._metadata,
                cause_of=self._cause,
                seen=self._seen,
            )
            return self._keep(bot_id, folded)

    def _cause(self, fact: Fact) -> RecordedEvent | NewEvent | None:
        return self._requests.get(getattr(fact, "order_id", OrderId("")))

    def lines(self, key: Key) -> list[Line]:
        """What of the key's orders is, or is to be, at the venue; ended ones as long as they are remembered."""
        state = self._folded[key.bot_id].state
        known = [*state.ended.values(), *state.orders.values()]
        return lines(order for order in known if key_of(key.bot_id, order) == key)

    def working(self) -> Iterable[tuple[Key, Order]]:
        """Every order that has not ended."""
        for bot_id, folded in self._folded.items():
            for order in folded.state.orders.values():
                yield key_of(bot_id, order), order

    def _keep(self, bot_id: BotId, folded: Folded[BotState]) -> BotState:
        known = self._folded.get(bot_id)
        if known is None or folded.version > known.version:
            self._folded[bot_id] = folded
            for order in folded.state.orders.values():
                if order.client_id:
                    self.owners[order.client_id] = key_of(bot_id, order)
        return self._folded[bot_id].state


class VenueTime:
    """The venue's clock, and its market's, as they are told from ours between two questions.

    Deadlines, and what people say, are held against the venue's; a bot's facts tell the market's. The two are one,
    unless it is a test venue's, whose market goes ``speed`` times as fast.
    """

    def __init__(self, venue: Venue, clock: Clock, *, speed: float | None = None) -> None:
        self._venue = venue
        self._clock = clock
        self._speed = speed
        self._ahead = timedelta(0)
        self._market: tuple[datetime, datetime] | None = None
        self.known = False

    @property
    def entry_late_max(self) -> timedelta:
        """So long after the close of its candle an entry may still be sent, by the market's clock."""
        return max(ENTRY_LATE_MAX, OUR_LATE_MAX * (self._speed or 1.0))

    def now(self) -> datetime:
        """About what the venue's clock shows."""
        return self._clock.now() + self._ahead

    def market_now(self) -> datetime:
        """About what the market's clock shows."""
        return self.on_market(self.now())

    def on_market(self, moment: datetime) -> datetime:
        """About what the market's clock shows when the venue's shows this."""
        if self._speed is None or self._market is None:
            return moment
        told, at = self._market
        return told + (moment - at) * self._speed

    async def ask(self) -> datetime:
        """What the venue's clock shows, exactly. Raises ``VenueUnavailable`` or ``VenueRefused``."""
        before = self._clock.now()
        now = await self._venue.now()
        # As if it had been told at the start: then our idea of it is behind rather than ahead.
        self._ahead = min(now - before, now - self._clock.now())
        if self._speed is not None:
            self._market = await self._venue.market_now(), self.now()
        self.known = True
        return now


class FillBook:
    """The account's newest trades, so that they are asked for by what is new and not order by order."""

    def __init__(self, venue: Venue, *, since: datetime) -> None:
        self._venue = venue
        self._since = since
        self._known: dict[tuple[str, str], VenueFill] = {}

    async def refresh(self, *, since: datetime | None = None) -> Sequence[VenueFill]:
        """The trades since then, or else since the newest known one and somewhat before it; all are remembered."""
        newest = max((fill.at for fill in self._known.values()), default=None)
        begin = self._since if newest is None else max(self._since, newest - FILLS_OVERLAP)
        fills = await self._venue.fills(since=begin if since is None else min(since, begin))
        for fill in fills:
            self._known[fill.symbol, fill.fill_id] = fill
        for old in list(self._known)[: max(0, len(self._known) - FILLS_KEPT)]:
            del self._known[old]
        return fills

    def of(self, client_ids: set[str]) -> list[VenueFill]:
        """The known trades under any of these client ids."""
        return [fill for fill in self._known.values() if fill.client_id in client_ids]
