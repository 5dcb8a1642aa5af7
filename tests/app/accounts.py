"""Accounts at venues as others have opened and used them, for the tests of whoever reads them."""

from collections.abc import Sequence

from events.account import AccountFact, AccountOpened
from events.envelope import NewEvent
from events.identifiers import AccountName, VenueName, account_stream, new_event_id
from events.log import ANY_VERSION, EventLog
from tests.core.scenario import START


async def open_account(
    log: EventLog, account: AccountName, venue: str, *, demo: bool = False, more: Sequence[AccountFact] = ()
) -> None:
    """An account that is open, and what else has happened to it."""
    await happened(log, account, [AccountOpened(account=account, venue=VenueName(venue), demo=demo), *more])


async def happened(log: EventLog, account: AccountName, facts: Sequence[AccountFact]) -> None:
    """Append what happened to an account."""
    events = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact) for fact in facts]
    await log.append(account_stream(account), events, expected=ANY_VERSION)
