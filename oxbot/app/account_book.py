"""Accounts as the log has them: folded once, read on from there, and recorded to."""

from collections.abc import Callable
from datetime import datetime

from events.envelope import Metadata
from events.log import EventLog
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.core.account import AccountCommand, AccountDecider, AccountState, UserId, user_stream

FOLDED_MAX = 1000


class AccountBook:
    """What the log says of each account. Safe from any number of processes at once; what is remembered is a cache."""

    def __init__(self, log: EventLog, *, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._decider = AccountDecider()
        self._folded: dict[UserId, Folded[AccountState]] = {}

    async def known(self, user_id: UserId) -> Folded[AccountState]:
        """The account as it was when this process last looked, or now if it never did."""
        return self._folded.get(user_id) or await self.read(user_id)

    async def read(self, user_id: UserId) -> Folded[AccountState]:
        """The account now."""
        known = self._folded.get(user_id)
        return self._keep(user_id, await fold_stream(self._log, self._decider, user_stream(user_id), known))

    async def record(self, user_id: UserId, command: AccountCommand, *, by: str = "") -> Folded[AccountState]:
        """Have the command's facts recorded in the name of ``by``; the account after them. Raises as ``handle``."""
        stream, known = user_stream(user_id), self._folded.get(user_id)
        metadata = Metadata(actor=by)
        folded = await handle(self._log, self._decider, stream, command, at=self._now(), known=known, metadata=metadata)
        return self._keep(user_id, folded)

    def _keep(self, user_id: UserId, folded: Folded[AccountState]) -> Folded[AccountState]:
        if len(self._folded) >= FOLDED_MAX:
            self._folded.clear()
        self._folded[user_id] = folded
        return folded
