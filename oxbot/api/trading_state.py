"""What the risk gate lets through: of one bot, or of the whole fleet by its switch."""

import msgspec
from starlette.responses import Response

from events.bot import TradingState
from oxbot.api.bodies import Nothing, answer
from oxbot.api.bots import BotStanding, ReasonText, recorded, told
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.app.fleet_switch import Switched, switch_fleet


class TradingStateWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may pass: everything, only what makes positions smaller, or only protective exits; and why."""

    state: TradingState
    reason: ReasonText = ""


class BotSwitched(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one bot: where it stands, or why it has no use for the word."""

    bot_id: str
    standing: BotStanding | None
    refusal: str = ""


class FleetStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Every bot of the fleet after the switch was turned, in order of creation."""

    state: TradingState
    items: list[BotSwitched]


async def set_trading_state(call: Call[Nothing, TradingStateWanted]) -> Response:
    """One bot's."""
    wanted = call.body
    result = await call.services.bots.set_trading(call.bot_id, wanted.state, wanted.reason, by=call.actor)
    return await told(call.services, result)


async def set_fleet_trading_state(call: Call[Nothing, TradingStateWanted]) -> Response:
    """Every bot's."""
    wanted = call.body
    switched = await switch_fleet(call.services.bots, wanted.state, wanted.reason, by=call.actor)
    standing = FleetStanding(state=wanted.state, items=[_switched(outcome) for outcome in switched])
    return await recorded(call.services, answer(standing))


OPERATIONS: tuple[Operation, ...] = (
    operation(
        set_trading_state,
        name="set_trading_state",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/trading-state",
        least="trader",
        of="bot",
        summary="Say what the bot's risk gate lets through; active also accepts its drawdown so far.",
        query=Nothing,
        body=TradingStateWanted,
        answer=BotStanding,
        problems=(409, 503),
    ),
    operation(
        set_fleet_trading_state,
        name="set_fleet_trading_state",
        method="POST",
        path=f"{PREFIX}/fleet/trading-state",
        least="admin",
        of="installation",
        summary="The switch of the whole fleet: say it to every bot that has not ended. Safe to repeat.",
        query=Nothing,
        body=TradingStateWanted,
        answer=FleetStanding,
        problems=(503,),
    ),
)


def _switched(outcome: Switched) -> BotSwitched:
    standing = None if outcome.result is None else msgspec.convert(outcome.result._asdict(), BotStanding)
    return BotSwitched(bot_id=outcome.bot_id, standing=standing, refusal=outcome.refusal)
