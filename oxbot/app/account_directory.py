"""Every venue account and its bots, folded from the log and kept up with it: for whoever starts or shows them."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from events.account import AccountFact, AccountOpened, AccountReconciled, AccountUnreconciled
from events.bot import BotCreated, BotStopped
from events.envelope import RecordedEvent
from events.identifiers import ACCOUNT_STREAM_PREFIX, BOT_STREAM_PREFIX, AccountName, BotId, VenueName
from events.log import LogReader
from oxbot.app.failing import FailingBot, FailingBots
from oxbot.core.venue_account import AccountState, VenueAccountDecider

PAGE = 1000

ACCOUNT_TYPES = tuple(str(kind.__struct_config__.tag) for kind in AccountFact.__args__)
FOLLOWED_TYPES = (*ACCOUNT_TYPES, "bot.created", "bot.stopped")

_DECIDER = VenueAccountDecider()

LOCAL = "-local"
"""So the name of a market ends that an exchange on this machine plays."""


def is_local_market(market: VenueName) -> bool:
    """Whether the market by that name is one of an exchange on this machine."""
    return market.endswith(LOCAL)


def is_local(rest: str) -> bool:
    """Whether what is reached there is an exchange on this machine, whose market has a clock of its own."""
    return rest.startswith("http:")


def market_of(venue: str, *, demo: bool = False, rest: str = "") -> VenueName:
    """By which name candles and bots know the market there: prices of a demo, or of a local exchange, are its own."""
    if is_local(rest):
        return VenueName(f"{venue}{LOCAL}")
    return VenueName(f"{venue}-demo" if demo else venue)


class KnownAccount(NamedTuple):
    """An account as the log has it; ``trouble_since`` is from when on it has not agreed with its venue."""

    name: AccountName
    opened: AccountOpened
    state: AccountState
    trouble_since: datetime | None
    bots: tuple[BotId, ...]
    stopped: frozenset[BotId]

    @property
    def market(self) -> VenueName:
        """The market that its bots may trade."""
        return market_of(self.opened.venue, demo=self.opened.demo, rest=self.opened.rest)


class AccountDirectory:
    """All accounts and who trades for them, as far as the log has come; what was read is not read again."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._position = 0
        self._states: dict[AccountName, AccountState] = {}
        self._trouble: dict[AccountName, datetime] = {}
        self._bots: dict[BotId, AccountName] = {}
        self._stopped: set[BotId] = set()
        self._reading = asyncio.Lock()

    async def refresh(self) -> Mapping[AccountName, KnownAccount]:
        """Every account that is open by now."""
        async with self._reading:
            head = await self._log.head()
            while self._position < head:
                page = await self._log.read_all(
                    after_position=self._position, limit=PAGE, types=FOLLOWED_TYPES, up_to=head
                )
                for event in page:
                    self._take(event)
                # What is of other types is not looked through again.
                self._position = page[-1].position if len(page) == PAGE else head
        return {name: known for name in sorted(self._states) if (known := self._known(name)) is not None}

    def _take(self, event: RecordedEvent) -> None:
        fact = event.fact
        if isinstance(fact, BotCreated):
            if fact.account is not None:
                self._bots[fact.bot_id] = fact.account
        elif isinstance(fact, BotStopped):
            self._stopped.add(BotId(event.stream.removeprefix(BOT_STREAM_PREFIX)))
        elif isinstance(fact, AccountFact):
            name = AccountName(event.stream.removeprefix(ACCOUNT_STREAM_PREFIX))
            self._states[name] = _DECIDER.evolve(self._states.get(name, _DECIDER.initial), fact)
            if isinstance(fact, AccountUnreconciled):
                self._trouble.setdefault(name, fact.at)
            elif isinstance(fact, AccountReconciled):
                self._trouble.pop(name, None)

    def _known(self, name: AccountName) -> KnownAccount | None:
        state = self._states[name]
        if state.opened is None:
            return None
        bots = tuple(bot_id for bot_id, account in self._bots.items() if account == name)
        since = self._trouble.get(name) if state.unreconciled else None
        return KnownAccount(name, state.opened, state, since, bots, frozenset(self._stopped.intersection(bots)))


class AccountFailures:
    """``FailingBots`` in which also those are that live but cannot enter, since their account is in trouble."""

    def __init__(self, failing: FailingBots, directory: AccountDirectory) -> None:
        self._failing = failing
        self._directory = directory

    async def failed(self, errors: Mapping[BotId, str]) -> None:
        """See ``FailingBots.failed``."""
        await self._failing.failed(errors)

    async def recovered(self, bot_ids: Collection[BotId]) -> None:
        """See ``FailingBots.recovered``."""
        await self._failing.recovered(bot_ids)

    async def all(self) -> dict[BotId, FailingBot]:
        """Those that fail, and those that cannot enter."""
        found: dict[BotId, FailingBot] = {}
        for known in (await self._directory.refresh()).values():
            if known.trouble_since is not None:
                words = f"account {known.name} lets nothing enter: {known.state.unreconciled}"
                living = (bot_id for bot_id in known.bots if bot_id not in known.stopped)
                found |= {bot_id: FailingBot(known.trouble_since, words) for bot_id in living}
        return found | await self._failing.all()
