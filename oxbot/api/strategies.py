"""What bots can decide by: every strategy, and each with its parameters."""

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.core.catalogue import StrategyLine, StrategyShown, listed, shown
from oxbot.core.strategy import UnknownStrategy


class StrategiesList(msgspec.Struct, frozen=True, kw_only=True):
    """Every strategy, in order of name."""

    items: list[StrategyLine]


async def list_strategies(call: Call[Nothing, Nothing]) -> Response:
    """All of them."""
    return answer(StrategiesList(items=listed(call.services.strategies)))


async def show_strategy(call: Call[Nothing, Nothing]) -> Response:
    """One of them; here a name that is none is a path that leads nowhere."""
    try:
        return answer(shown(call.services.strategies, call.request.path_params["strategy"]))
    except UnknownStrategy as unknown:
        raise Problem(404, str(unknown)) from unknown


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_strategies,
        name="list_strategies",
        method="GET",
        path=f"{PREFIX}/strategies",
        least="viewer",
        of="installation",
        summary="What bots can decide by.",
        query=Nothing,
        body=Nothing,
        answer=StrategiesList,
    ),
    operation(
        show_strategy,
        name="show_strategy",
        method="GET",
        path=f"{PREFIX}/strategies/{{strategy}}",
        least="viewer",
        of="installation",
        summary="A strategy and its parameters: type, default, bounds, meaning, and all of them as a JSON schema.",
        query=Nothing,
        body=Nothing,
        answer=StrategyShown,
    ),
)
