"""Whether another account of ours is the same one at the venue: only the first of them may trade."""

import hashlib

from events.account import AccountIdentified
from events.identifiers import ACCOUNT_STREAM_PREFIX, StreamId
from events.log import EventLog
from oxbot.app.execution_books import AccountBook, VenueTime
from oxbot.app.execution_sending import VenueCalls
from oxbot.app.venue import Venue
from oxbot.core.venue_account import RecordIdentity

PAGE = 1000


class Twin:
    """Asks the venue once which account it is, and the log, as long as there is one, for another with the same answer.

    Two that traded would each take the other's orders and positions for a stranger's, and its money for their own.
    """

    def __init__(
        self, venue: Venue, *, log: EventLog, account: AccountBook, time: VenueTime, calls: VenueCalls
    ) -> None:
        self._venue = venue
        self._log = log
        self._account = account
        self._time = time
        self._calls = calls
        self._asked = False
        self._fault = ""

    async def fault(self) -> str:
        """Why the account may not trade, or nothing. Raises ``VenueUnavailable`` or ``VenueRefused``."""
        if not self._asked:
            await self._ask()
        elif not self._fault:
            return ""
        first = await self._first()
        same = first and first != self._account.stream
        name = first.removeprefix(ACCOUNT_STREAM_PREFIX)
        self._fault = f"account {name} is the same account at the venue; give this one keys of its own" if same else ""
        return self._fault

    async def _ask(self) -> None:
        told, opened = await self._calls.asked(self._venue.identity()), self._account.state.opened
        if told and opened is not None:
            where = f"{opened.venue}|{opened.rest}|{told}"
            identity = hashlib.sha256(where.encode()).hexdigest()[:16]
            await self._account.record(
                RecordIdentity(epoch=self._account.epoch, at=self._time.now(), identity=identity)
            )
        self._asked = True

    async def _first(self) -> str:
        """The stream of the account that had the present identity of ours first, and has it still."""
        ours = self._account.state.identity
        newest: dict[StreamId, str] = {}
        position = 0
        while page := await self._log.read_all(after_position=position, limit=PAGE, types=("account.identified",)):
            position = page[-1].position
            for event in page:
                if isinstance(event.fact, AccountIdentified):
                    # What is said again is said of a change: it comes after those that had it before.
                    newest.pop(event.stream, None)
                    newest[event.stream] = event.fact.identity
        return next((stream for stream, identity in newest.items() if ours and identity == ours), "")
