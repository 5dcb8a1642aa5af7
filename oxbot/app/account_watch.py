"""What keeps the account of a live bot shut, so that the bot's own gate refuses what would not go out anyway."""

import asyncio
from datetime import datetime, timedelta

from events.identifiers import AccountName, account_stream
from events.log import EventLog
from oxbot.app.clock import Clock
from oxbot.app.execution_plan import unarmed
from oxbot.app.handle import Folded, fold_stream
from oxbot.core.bot_state import BotState
from oxbot.core.venue_account import AccountState, VenueAccountDecider

KEPT = timedelta(seconds=1)
"""So long one look at an account serves all its bots of a process."""


class AccountWatch:
    """The accounts of a process's bots, as the log has them.

    Its word saves orders that would be rejected; the execution looks again before anything is sent.
    """

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._decider = VenueAccountDecider()
        self._folded: dict[AccountName, Folded[AccountState]] = {}
        self._read_at: dict[AccountName, datetime] = {}
        self._reading = asyncio.Lock()

    async def fault(self, bot: BotState) -> str:
        """Why the bot's account lets none of its entries out now, by our clock; nothing if it may, or on paper.

        An account that was not compared with its venue yet keeps an entry waiting and refuses none.
        """
        account = bot.configuration.account
        if account is None or bot.armed_until is None:
            return ""
        state = await self._state(account)
        fault = unarmed(bot, state, now=self._clock.now())
        if fault is None and state.unreconciled:
            fault = f"the account is not reconciled: {state.unreconciled}"
        return fault or ""

    async def _state(self, account: AccountName) -> AccountState:
        async with self._reading:
            known, now = self._folded.get(account), self._clock.now()
            if known is None or now - self._read_at[account] >= KEPT:
                known = await fold_stream(self._log, self._decider, account_stream(account), known)
                self._folded[account], self._read_at[account] = known, now
            return known.state
