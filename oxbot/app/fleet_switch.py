"""The fleet's switch: says to every bot of the fleet at once what its risk gate may let through."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from events.bot import TradingState
from events.errors import OxbotError
from events.identifiers import BotId
from oxbot.app.bots import BotCommands, CommandResult
from oxbot.core.bot import CommandRefused

AT_ONCE = 8
NAMED_MAX = 5


class FleetIncomplete(OxbotError):
    """Some bots could not be told; all the others were. Saying it again tells those that are left."""


class Switched(NamedTuple):
    """What became of one bot: where it stands, or why it has no use for the word."""

    bot_id: BotId
    result: CommandResult | None
    refusal: str = ""


class _Failed(NamedTuple):
    bot_id: BotId
    error: OxbotError


async def switch_fleet(
    bots: BotCommands, state: TradingState, reason: str = "", *, by: str | None = None
) -> list[Switched]:
    """Tell every bot that the fleet has, in order of creation; one that was told so already is told nothing.

    What each bot was told for itself, or tripped to, stays as it is: it holds again once the switch is lifted.
    The switch is on record before anybody is told, so a bot that is created meanwhile is found here or begins with it.
    No bot's trouble keeps another from being told. Raises ``FleetIncomplete`` once all have been tried.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def tell(bot_id: BotId) -> Switched | _Failed:
        async with turns:
            try:
                return Switched(bot_id, await bots.set_trading(bot_id, state, reason, of_fleet=True, by=by))
            except CommandRefused as refused:
                return Switched(bot_id, None, str(refused))
            except OxbotError as error:
                return _Failed(bot_id, error)

    await bots.set_fleet_trading(state, reason, by=by)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(tell(bot_id)) async for bot_id in bots.fleet_bots()]
    told = [task.result() for task in tasks]
    failed = [outcome for outcome in told if isinstance(outcome, _Failed)]
    if failed:
        raise FleetIncomplete(_words(failed, among=len(told), state=state))
    return [outcome for outcome in told if isinstance(outcome, Switched)]


def _words(failed: Sequence[_Failed], *, among: int, state: TradingState) -> str:
    named = ", ".join(outcome.bot_id for outcome in failed[:NAMED_MAX])
    more = f" and {len(failed) - NAMED_MAX} more" if len(failed) > NAMED_MAX else ""
    return (
        f"{len(failed)} of {among} bots could not be told to be {state}: {named}{more} ({failed[0].error}); "
        "all others were; say it again"
    )
