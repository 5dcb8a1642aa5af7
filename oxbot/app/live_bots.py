"""What must hold before a bot trades with real money: an account of its market, and positions that are its alone."""

from collections.abc import AsyncIterator
from datetime import datetime

from events.bot import BotCreated
from events.identifiers import AccountName, BotId, OwnerId, VenueName, account_stream, bot_stream
from events.log import EventLog
from oxbot.app.account_directory import is_local, market_of
from oxbot.app.execution_plan import shared_perpetuals
from oxbot.app.handle import FoldCache, fold_stream
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState
from oxbot.core.refused import CommandRefused
from oxbot.core.venue_account import VenueAccountDecider

PAGE = 1000


async def check_account(
    log: EventLog, account: AccountName, market: VenueName, *, granted_to: OwnerId | None = None
) -> None:
    """Raise ``CommandRefused`` unless the account is open and its venue is the one whose candles bots follow here.

    If it must be granted to a user and is not, he is told that it is not there.
    """
    state = (await fold_stream(log, VenueAccountDecider(), account_stream(account))).state
    opened = state.opened
    if opened is None or not may_name(granted_to, state.owner):
        raise CommandRefused(f"there is no account {account}; open it first")
    needed = market_of(opened.venue, demo=opened.demo, rest=opened.rest)
    if needed != market:
        raise CommandRefused(f"account {account} trades {needed}, and the fleet's market is {market}")


def may_name(user: OwnerId | None, granted_to: OwnerId) -> bool:
    """Whether who creates a bot may have it name an account that is granted to that user; None may name any."""
    return user in (None, granted_to)


async def shortage(log: EventLog, account: AccountName) -> str | None:
    """Why no bot of the account may be armed: its bots have more than the account, as far as is known."""
    state = (await fold_stream(log, VenueAccountDecider(), account_stream(account))).state
    return f"account {account} has too little: {state.lacks}" if state.lacks else None


async def has_clock_apart(log: EventLog, bot: BotState) -> bool:
    """Whether the market at the bot's account goes by a clock of its own."""
    account = None if bot.created is None else bot.created.account
    if account is None:
        return False
    opened = (await fold_stream(log, VenueAccountDecider(), account_stream(account))).state.opened
    return opened is not None and is_local(opened.rest)


async def armed_rival(
    log: EventLog, decider: BotDecider, bot: BotState, *, now: datetime, cache: FoldCache[BotState] | None = None
) -> str | None:
    """Why the bot may not be armed: another armed bot of its account trades one of its perpetuals. None if it may."""
    account = None if bot.created is None else bot.created.account
    if account is None:
        return None
    async for other_id in _bots_of(log, account):
        if other_id == bot.bot_id:
            continue
        other = (await fold_stream(log, decider, bot_stream(other_id), cache=cache)).state
        shared = shared_perpetuals(bot, other)
        armed = other.armed_until is not None and other.armed_until > now and other.status != "stopped"
        if armed and shared:
            return (
                f"bot {other_id} of account {account} is armed and trades {', '.join(shared)} too, and a venue keeps"
                " one position of a perpetual for a whole account; disarm it first"
            )
    return None


async def _bots_of(log: EventLog, account: AccountName) -> AsyncIterator[BotId]:
    position = 0
    while page := await log.read_all(after_position=position, limit=PAGE, types=("bot.created",)):
        position = page[-1].position
        for event in page:
            if isinstance(event.fact, BotCreated) and event.fact.account == account:
                yield event.fact.bot_id
