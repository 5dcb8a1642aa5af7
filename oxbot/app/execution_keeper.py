"""Keeps the execution of an account at work, and says on the account's own stream why it cannot be."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog

from oxbot.app.bot_runner import Superseded
from oxbot.app.clock import Clock
from oxbot.app.execution import ExecutionRunner
from oxbot.app.execution_books import AccountBook
from oxbot.app.venue import Venue, VenueRefused, VenueUnavailable, VenueUnfit
from oxbot.core.venue_account import RecordUnreconciled

RETRY_SECONDS = 30.0

logger = structlog.get_logger(__name__)

OpenVenue = Callable[[], AbstractAsyncContextManager[Venue]]
"""Opens the account. Raises ``VenueRefused``, ``VenueUnfit`` or ``VenueUnavailable``, each with words for people."""


class ExecutionKeeper:
    """Opens the account at its venue and runs its execution; what stands in the way is recorded, and tried again.

    The same reason is recorded once, until the execution has run. An incarnation that was superseded stays down:
    whoever took over is at work.
    """

    def __init__(
        self,
        open_venue: OpenVenue,
        *,
        runner: Callable[[Venue], ExecutionRunner],
        account: Callable[[], AccountBook],
        clock: Clock,
    ) -> None:
        """``account`` makes a fresh book of the account, in which a failure to open it is told."""
        self._open_venue = open_venue
        self._runner = runner
        self._account = account
        self._clock = clock
        self._book: AccountBook | None = None
        self._told: set[str] = set()

    async def run(self) -> None:
        """Work until cancelled, superseded or failed."""
        while True:
            try:
                async with self._open_venue() as venue:
                    # It claims the account itself, which ends what was told before.
                    self._book = None
                    self._told.clear()
                    await self._runner(venue).run()
            except Superseded as superseded:
                logger.warning("execution_superseded", reason=str(superseded))
                return
            except (VenueRefused, VenueUnfit, VenueUnavailable) as error:
                logger.warning("venue_not_opened", error=str(error))
                if not await self._said(error):
                    return
            await self._clock.sleep(RETRY_SECONDS)

    async def _said(self, error: VenueRefused | VenueUnfit | VenueUnavailable) -> bool:
        """Tell the operator why, unless that was told; whether it is still this incarnation's to tell.

        What is said of an outage differs from one attempt to the next, and is one reason all the same.
        """
        reason = "" if isinstance(error, VenueUnavailable) else str(error)
        try:
            book = self._book
            if book is None:
                book = self._account()
                await book.claim()
                self._book = book
            await book.refresh()
            if reason not in self._told:
                await book.record(
                    RecordUnreconciled(epoch=book.epoch, at=self._clock.now(), reason=str(error), instead=True)
                )
                self._told.add(reason)
        except Superseded:
            return False
        return True
