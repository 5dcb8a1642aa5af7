"""The limits that a bot's risk gate can hold to."""

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.core.risk import LimitRow, limits_table


class LimitsTable(msgspec.Struct, frozen=True, kw_only=True):
    """Every rule of the gate with its limits, in the order in which they are asked."""

    items: list[LimitRow]


async def list_limits(call: Call[Nothing, Nothing]) -> Response:
    """The whole table."""
    del call
    return answer(LimitsTable(items=limits_table()))


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_limits,
        name="list_limits",
        method="GET",
        path=f"{PREFIX}/risk/limits",
        least="viewer",
        summary="The rules of the risk gate and the limits that can be set.",
        query=Nothing,
        body=Nothing,
        answer=LimitsTable,
    ),
)
