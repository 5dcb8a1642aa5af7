"""Quote currency that comes to a bot and leaves it, at any moment, each flow once."""

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing, answer
from oxbot.api.bots import recorded
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.app.capital import BookedFlow, CapitalFlow, FlowKind
from oxbot.core.money import text
from oxbot.views.amounts import Amount


class FlowBooked(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as it is booked; ``version`` is that of its event in the bot's stream."""

    bot_id: str
    kind: FlowKind
    amount: Amount
    reference: str
    version: int


async def deposit_capital(call: Call[Nothing, CapitalFlow]) -> Response:
    """Money in."""
    flow = call.body
    return await _told(
        call, await call.services.bots.deposit(call.bot_id, flow.amount, reference=flow.reference, by=call.actor)
    )


async def withdraw_capital(call: Call[Nothing, CapitalFlow]) -> Response:
    """Money out."""
    flow = call.body
    return await _told(
        call, await call.services.bots.withdraw(call.bot_id, flow.amount, reference=flow.reference, by=call.actor)
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        deposit_capital,
        name="deposit_capital",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/deposits",
        least="trader",
        of="bot",
        summary="Bring quote currency to a bot. Safe to repeat: one reference books once.",
        query=Nothing,
        body=CapitalFlow,
        answer=FlowBooked,
        problems=(409, 503),
    ),
    operation(
        withdraw_capital,
        name="withdraw_capital",
        method="POST",
        path=f"{PREFIX}/bots/{{bot_id}}/withdrawals",
        least="trader",
        of="bot",
        summary="Take free quote currency out of a bot. Safe to repeat: one reference books once.",
        query=Nothing,
        body=CapitalFlow,
        answer=FlowBooked,
        problems=(409, 503),
    ),
)


async def _told(call: Call[Nothing, CapitalFlow], booked: BookedFlow) -> Response:
    flow = FlowBooked(
        bot_id=call.bot_id,
        kind=booked.kind,
        amount=text(booked.amount),
        reference=booked.reference,
        version=booked.version,
    )
    return await recorded(call.services, answer(flow))
