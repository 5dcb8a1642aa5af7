"""What people are shown of a venue account: whether entries pass and what keeps them back, strangers, doubts."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from decimal import Decimal

import msgspec

from events.account import AccountKillDone, AccountReconciled, KillPolicy, StrangerKind, StrangerSeen
from events.identifiers import (
    HOUSE,
    AccountName,
    BotId,
    OrderId,
    OwnerId,
    Symbol,
    VenueName,
    account_stream,
    bot_stream,
)
from events.log import EventLog
from oxbot.app.account_directory import AccountDirectory, KnownAccount
from oxbot.app.handle import FoldCache, fold_stream
from oxbot.app.live_bots import may_name
from oxbot.app.venue_accounts import UnknownAccount
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState


class AccountStanding(msgspec.Struct, frozen=True, kw_only=True):
    """An account; ``keys`` is the fingerprint of its key, ``obstacles`` is in words what keeps entries back now.

    ``owner``: the user whose bots may name it beside those that administrators create; empty for none.
    """

    account: AccountName
    venue: VenueName
    market: VenueName
    demo: bool
    rest: str
    ws: str
    keys: str
    armed_until: datetime | None
    reconciled: bool
    obstacles: tuple[str, ...]
    bots: tuple[BotId, ...]
    owner: OwnerId = HOUSE


class OfferedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a new bot may name; ``obstacles`` as in an account's standing."""

    account: AccountName
    venue: VenueName
    demo: bool
    armed_until: datetime | None
    obstacles: tuple[str, ...]


class Stranger(msgspec.Struct, frozen=True, kw_only=True):
    """Something at the venue that no bot asked for."""

    at: datetime
    kind: StrangerKind
    symbol: Symbol | None
    words: str


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """An order of which it is not known yet whether the venue has it."""

    bot_id: BotId
    order_id: OrderId
    symbol: Symbol
    status: str


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """What the kill switch did when it was last thrown, and what was left."""

    at: datetime
    policy: KillPolicy
    cancelled: int
    closed: int
    left: tuple[str, ...]


class AccountDetails(AccountStanding, frozen=True, kw_only=True):
    """An account with everything that was found out about it; ``holder`` is the execution that works for it."""

    reconciled_at: datetime | None
    epoch: int
    leverages: dict[Symbol, Decimal]
    strangers: tuple[Stranger, ...]
    in_doubt: tuple[Doubt, ...]
    killed: Killed | None


class AccountReader:
    """Reads accounts from the log."""

    def __init__(
        self,
        log: EventLog,
        directory: AccountDirectory,
        decider: BotDecider,
        *,
        now: Callable[[], datetime],
        cache: FoldCache[BotState] | None = None,
    ) -> None:
        self._log = log
        self._directory = directory
        self._decider = decider
        self._now = now
        self._cache = cache

    async def all(self) -> list[AccountStanding]:
        """Every account, in order of name."""
        return [self._standing(known) for known in (await self._directory.refresh()).values()]

    async def offered(self, market: VenueName, *, granted_to: OwnerId | None) -> list[OfferedAccount]:
        """Those of that market that a new bot may name, in order of name; with ``granted_to``, one of that user's."""
        return [
            OfferedAccount(
                account=known.name,
                venue=known.opened.venue,
                demo=known.opened.demo,
                armed_until=known.state.armed_until,
                obstacles=tuple(_obstacles(known, self._now())),
            )
            for known in (await self._directory.refresh()).values()
            if known.market == market and may_name(granted_to, known.state.owner)
        ]

    async def show(self, account: AccountName) -> AccountDetails:
        """One account. Raises ``UnknownAccount``."""
        known = (await self._directory.refresh()).get(account)
        if known is None:
            raise UnknownAccount(f"there is no account {account}")
        reconciled_at, killed = None, None
        strangers: dict[tuple[str, str], Stranger] = {}
        for event in await self._log.read_stream(account_stream(account)):
            match event.fact:
                case AccountReconciled(at=at):
                    reconciled_at = at
                case StrangerSeen() as seen:
                    told = Stranger(at=seen.at, kind=seen.kind, symbol=seen.symbol, words=seen.words)
                    strangers[seen.kind, seen.reference] = told
                case AccountKillDone() as done:
                    killed = Killed(
                        at=done.at, policy=done.policy, cancelled=done.cancelled, closed=done.closed, left=done.left
                    )
                case _:
                    pass
        return AccountDetails(
            **msgspec.structs.asdict(self._standing(known)),
            reconciled_at=reconciled_at,
            epoch=known.state.epoch,
            leverages=dict(known.state.leverages),
            strangers=tuple(one for name, one in strangers.items() if name in known.state.strangers),
            in_doubt=tuple([doubt async for doubt in self._doubts(known)]),
            killed=killed,
        )

    async def _doubts(self, known: KnownAccount) -> AsyncIterator[Doubt]:
        for bot_id in known.bots:
            state = (await fold_stream(self._log, self._decider, bot_stream(bot_id), cache=self._cache)).state
            for order in state.orders.values():
                if order.status in ("in_doubt", "submitted"):
                    yield Doubt(bot_id=bot_id, order_id=order.order_id, symbol=order.symbol, status=order.status)

    def _standing(self, known: KnownAccount) -> AccountStanding:
        return AccountStanding(
            account=known.name,
            venue=known.opened.venue,
            market=known.market,
            demo=known.opened.demo,
            rest=known.opened.rest,
            ws=known.opened.ws,
            keys=known.state.fingerprint,
            armed_until=known.state.armed_until,
            reconciled=known.state.reconciled,
            obstacles=tuple(_obstacles(known, self._now())),
            bots=known.bots,
            owner=known.state.owner,
        )


def _obstacles(known: KnownAccount, now: datetime) -> Iterator[str]:
    state = known.state
    if not state.fingerprint:
        yield "it has no keys"
    if state.kill is not None:
        yield f"its kill switch was thrown ({state.kill.policy}) and is at work"
    if not state.armed_at(now):
        yield "it is not armed" if state.armed_until is None else "its arming has run out"
    if not state.epoch:
        yield "no execution has taken it up yet: oxbot up must run on its market"
    elif not state.reconciled:
        yield state.unreconciled or "it is being compared with the venue"
