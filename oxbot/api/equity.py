"""A bot's equity over time."""

from datetime import datetime
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.values import Timestamp
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.reading import PROBLEMS, ViewQuery, placed, reach
from oxbot.app.bots import UnknownBot
from oxbot.core.money import text
from oxbot.views.amounts import Amount

YEAR_MIN, YEAR_MAX = 1970, 2999


class EquityQuery(ViewQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A range of candle open times, the end not in it, and how many points at most."""

    begins_at: Timestamp | None = msgspec.field(default=None, name="from")
    ends_before: Timestamp | None = msgspec.field(default=None, name="to")
    points: Annotated[int, msgspec.Meta(ge=2, le=5000)] = 500

    def __post_init__(self) -> None:
        for name, moment in (("from", self.begins_at), ("to", self.ends_before)):
            if moment is not None and not YEAR_MIN < moment.year < YEAR_MAX:
                raise ValueError(f"`{name}` must be between {YEAR_MIN + 1} and {YEAR_MAX - 1}")
        if self.begins_at and self.ends_before and self.begins_at >= self.ends_before:
            raise ValueError("`from` must be before `to`")


class EquityAt(msgspec.Struct, frozen=True, kw_only=True):
    """Cash, and what all of it was worth, in quote currency, at the close of the candle that opened at ``at``."""

    at: datetime
    cash: Amount
    equity: Amount


class EquityCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Points in order of time."""

    items: list[EquityAt]


async def show_equity(call: Call[EquityQuery, Nothing]) -> Response:
    """A bot's equity curve, thinned to at most so many points."""
    query, equity = call.query, call.services.equity
    await reach(call)
    async with call.services.views.snapshot() as views:
        holdings = await equity.holdings(call.bot_id, views)
    if holdings is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    points = await equity.marked(
        holdings, begins_at=query.begins_at, ends_before=query.ends_before, points_max=query.points
    )
    items = [EquityAt(at=at, cash=text(cash), equity=text(equity)) for at, cash, equity in points]
    return await placed(call, answer(EquityCurve(items=items)), views.position)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        show_equity,
        name="show_equity",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/equity",
        least="viewer",
        summary="A bot's equity curve.",
        query=EquityQuery,
        body=Nothing,
        answer=EquityCurve,
        problems=PROBLEMS,
    ),
)
