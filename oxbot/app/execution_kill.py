"""Carries out an account's kill switch, and says truthfully what it came to."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from events.account import AccountKillRequested, KillPolicy
from events.bot import OrderCancelRequested
from events.identifiers import BotId
from oxbot.app.clock import Clock
from oxbot.app.execution_books import AccountBook, BotBooks, VenueTime
from oxbot.app.execution_report import Said
from oxbot.core.bot_state import BotState
from oxbot.core.money import text
from oxbot.core.orders import Order
from oxbot.core.reports import ForceExit, VenueReport
from oxbot.core.venue_account import RecordKillDone

LOOK_SECONDS = 1.0


class KillSwitch:
    """What a thrown switch asks for goes into the bots' own streams, and is worked on like all they ask for."""

    def __init__(self, account: AccountBook, bots: BotBooks, time: VenueTime, *, clock: Clock, seconds: float) -> None:
        self._account = account
        self._bots = bots
        self._time = time
        self._clock = clock
        self._seconds = seconds

    async def carry_out(self) -> None:
        """Cancel, and close if so asked, until nothing is left or the time is up; then report which."""
        deadline = self._clock.now() + timedelta(seconds=self._seconds)
        thrown: datetime | None = None
        while (kill := (await self._account.refresh()).kill) is not None:
            # People throw it by their clock; what it makes of orders is told by the market's.
            thrown = thrown or self._time.on_market(kill.at)
            for bot_id in list(self._bots.states):
                await self._bots.tell(bot_id, self._demand(kill, thrown))
            left = tuple(self._left(kill.policy))
            if not left or self._clock.now() >= deadline:
                await self._report(kill, thrown, left)
                return
            await self._clock.sleep(LOOK_SECONDS)

    def _demand(self, kill: AccountKillRequested, thrown: datetime) -> Said | ForceExit:
        at, reason = max(self._time.market_now(), thrown), kill.reason or "the account's kill switch was thrown"
        return ForceExit(at=at, reason=reason) if kill.policy == "close" else _without_entries(at, reason)

    async def _report(self, kill: AccountKillRequested, thrown: datetime, left: tuple[str, ...]) -> None:
        ended = [order for state in self._bots.states.values() for order in state.ended.values()]
        await self._account.record(
            RecordKillDone(
                epoch=self._account.epoch,
                at=self._time.now(),
                policy=kill.policy,
                cancelled=sum(_cancelled_since(order, thrown) for order in ended),
                closed=sum(_closed_since(order, thrown) for order in ended),
                left=left,
            )
        )

    def _left(self, policy: KillPolicy) -> Iterator[str]:
        for bot_id, state in self._bots.states.items():
            yield from _left_of(bot_id, state, policy)


def _without_entries(at: datetime, reason: str) -> Said:
    def said(state: BotState) -> Sequence[VenueReport]:
        return [
            OrderCancelRequested(order_id=order.order_id, at=at, reason=reason)
            for order in state.orders.values()
            if not order.reduce_only and order.cancel_requested_at is None
        ]

    return said


def _left_of(bot_id: BotId, state: BotState, policy: KillPolicy) -> Iterator[str]:
    for order in state.orders.values():
        if not order.reduce_only:
            yield f"bot {bot_id}: the entry {order.order_id} in {order.symbol} is {order.status}"
    if policy == "close":
        for symbol, held in state.ledger.positions.items():
            yield f"bot {bot_id}: {held.side} {text(held.quantity)} {symbol}"


def _cancelled_since(order: Order, at: datetime) -> bool:
    asked = order.cancel_requested_at
    return not order.reduce_only and order.status == "cancelled" and asked is not None and asked >= at


def _closed_since(order: Order, at: datetime) -> bool:
    return order.reason == "force_exit" and order.status == "filled" and order.requested_at >= at
