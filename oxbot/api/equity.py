"""A bot's equity over time."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.values import Timestamp
from oxbot.api.as_of import PAST_PROBLEMS, AsOfQuery, Then, then
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.api.reading import placed
from oxbot.app.bots import UnknownBot
from oxbot.core.candles import timeframe_duration
from oxbot.core.money import text
from oxbot.views.amounts import Amount

YEAR_MIN, YEAR_MAX = 1970, 2999


_Resolution = Annotated[
    str,
    msgspec.Meta(
        pattern="^[1-9][0-9]{0,2}[smhdw]$",
        description="The last point of each such span of time, in UTC, such as 1h or 1d; every candle's unless given.",
    ),
]


class EquityQuery(AsOfQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A range of candle open times, the end not in it, how far points are apart, and how many there are at most."""

    begins_at: Timestamp | None = msgspec.field(default=None, name="from")
    ends_before: Timestamp | None = msgspec.field(default=None, name="to")
    resolution: _Resolution | msgspec.UnsetType = msgspec.UNSET
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
    """A bot's equity curve, thinned to at most so many points; of the past, up to the newest candle on record then."""
    query, equity = call.query, call.services.equity
    async with then(call) as found:
        holdings = await equity.holdings(call.bot_id, found.rows)
    if holdings is None:
        raise UnknownBot(f"there is no bot {call.bot_id}")
    apart = _apart(query.resolution, holdings.bot.timeframe)
    points = await equity.marked(
        holdings,
        begins_at=query.begins_at,
        ends_before=_ends_before(query, found),
        points_max=query.points,
        apart=apart,
    )
    items = [EquityAt(at=at, cash=text(cash), equity=text(equity)) for at, cash, equity in points]
    return await placed(call, answer(EquityCurve(items=items)), found.position)


def _apart(resolution: str | msgspec.UnsetType, timeframe: str) -> timedelta | None:
    if resolution is msgspec.UNSET:
        return None
    apart = timeframe_duration(resolution)
    if apart < timeframe_duration(timeframe):
        raise Problem(422, f"query: the bot's candles last {timeframe}, so no resolution is finer")
    return apart


def _ends_before(query: EquityQuery, found: Then) -> datetime | None:
    if found.past is None:
        return query.ends_before
    state = found.past.state
    newest = state.cursor or state.configuration.market.begins_at
    reached = newest + state.candle
    return reached if query.ends_before is None else min(reached, query.ends_before)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        show_equity,
        name="show_equity",
        method="GET",
        path=f"{PREFIX}/bots/{{bot_id}}/equity",
        least="viewer",
        of="bot",
        summary="A bot's equity curve.",
        query=EquityQuery,
        body=Nothing,
        answer=EquityCurve,
        problems=(422, *PAST_PROBLEMS),
    ),
)
