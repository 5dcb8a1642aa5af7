"""The arena: strategies and models compared on equal capital, after what the models cost."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.reading import PROBLEMS, ViewQuery, placed, reach
from oxbot.app.access import owners_read_by
from oxbot.app.arena import LINES, LINES_MAX, ArenaBoard

_Fleet = Annotated[str, msgspec.Meta(max_length=100, description="Only bots of this fleet; all unless given.")]
_Limit = Annotated[int, msgspec.Meta(ge=1, le=LINES_MAX, description="How many lines at most.")]


class ArenaQuery(ViewQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which bots are compared, and how many of them are shown."""

    fleet: _Fleet | msgspec.UnsetType = msgspec.UNSET
    limit: _Limit = LINES


async def show_arena(call: Call[ArenaQuery, Nothing]) -> Response:
    """The board, its largest contest first."""
    query = call.query
    await reach(call)
    fleet = None if query.fleet is msgspec.UNSET else query.fleet
    board = await call.services.arena.board(fleet=fleet, limit=query.limit, of_owners=owners_read_by(call.signed_in))
    return await placed(call, answer(board), board.position)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        show_arena,
        name="show_arena",
        method="GET",
        path=f"{PREFIX}/arena",
        least="viewer",
        of="bots",
        summary="The bots that the caller may read, ranked by return after model cost among those of a kind.",
        query=ArenaQuery,
        body=Nothing,
        answer=ArenaBoard,
        problems=PROBLEMS,
    ),
)
