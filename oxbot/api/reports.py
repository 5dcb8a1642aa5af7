"""What bots earned, under the names of freqtrade's REST API: of one bot, and of all together, now and in the past."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from starlette.responses import Response

from oxbot.api.as_of import PAST_PROBLEMS, AsOfQuery, position_asked, then
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.api.reading import from_views, placed, reach
from oxbot.app.access import owners_read_by
from oxbot.app.views import Snapshot
from oxbot.views.report_shapes import Count, OpenTrade, PairPerformance, Periods, Profit, Stats
from oxbot.views.reports import Material, Unit, count, performance, periods, profit, stats, status

TIMESCALE_MAX = 1000

_Timescale = Annotated[int, msgspec.Meta(ge=1, le=TIMESCALE_MAX, description="How many periods, the newest first.")]
_Quote = Annotated[
    str, msgspec.Meta(max_length=20, description="Bots with this quote currency; unless given, with that of most.")
]
_Fleet = Annotated[str, msgspec.Meta(max_length=100, description="Only bots of this fleet; all unless given.")]


class FleetQuery(AsOfQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of the bots that the caller may read, as of when."""

    quote: _Quote = ""
    fleet: _Fleet | msgspec.UnsetType = msgspec.UNSET


class PeriodsQuery(AsOfQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many periods, as of when."""

    timescale: _Timescale = 7


class FleetPeriodsQuery(FleetQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many periods, of which bots."""

    timescale: _Timescale = 7


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The symbol that earned most first."""

    items: list[PairPerformance]


class OpenTrades(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest first."""

    items: list[OpenTrade]


ReportT = TypeVar("ReportT")
Make = Callable[[Material, int], msgspec.Struct]
"""What a report is made by, of its material and a timescale, where it has one."""


def _show(make: Make, *, trades: bool) -> Callable[[Call[AsOfQuery, Nothing]], Awaitable[Response]]:
    async def show(call: Call[AsOfQuery, Nothing]) -> Response:
        async with then(call) as found:
            cursor = None
            if found.past is not None:
                state = found.past.state
                cursor = state.cursor or state.configuration.market.begins_at
            material = await call.services.reads.reports.of_bot(call.bot_id, found.rows, cursor=cursor, trades=trades)
        made = await asyncio.to_thread(make, material, getattr(call.query, "timescale", 0))
        return await placed(call, answer(made), found.position)

    return show


def _show_all(make: Make) -> Callable[[Call[FleetQuery, Nothing]], Awaitable[Response]]:
    @from_views
    async def show_now(call: Call[FleetQuery, Nothing], views: Snapshot) -> Response:
        fleet = None if call.query.fleet is msgspec.UNSET else call.query.fleet
        return await told(call, await call.services.reads.reports.of_all(views, quote=call.query.quote, fleet=fleet))

    async def show_then(call: Call[FleetQuery, Nothing], asked: int | datetime) -> Response:
        await reach(call)
        query, services = call.query, call.services
        position = await position_asked(services, asked)
        await services.projections.reach(position)
        fleet = None if query.fleet is msgspec.UNSET else query.fleet
        rows = await services.reads.past_bots.together(position, of_owners=owners_read_by(call.signed_in), fleet=fleet)
        material = await services.reads.reports.of_all(rows, quote=query.quote, fleet=fleet, cursors=rows.cursors)
        return await placed(call, await told(call, material), position)

    async def told(call: Call[FleetQuery, Nothing], material: Material | None) -> Response:
        if material is None:
            raise Problem(404, "there is no such bot that you may read")
        return answer(await asyncio.to_thread(make, material, getattr(call.query, "timescale", 0)))

    async def show(call: Call[FleetQuery, Nothing]) -> Response:
        asked = call.query.as_of
        return await (show_now(call) if asked is msgspec.UNSET else show_then(call, asked))

    return show


def _by_unit(unit: Unit) -> Make:
    def make(material: Material, timescale: int) -> Periods:
        return periods(material, unit, timescale)

    return make


_REPORTS: tuple[tuple[str, Make, object, str], ...] = (
    ("profit", lambda material, _: profit(material), Profit, "what was earned in all"),
    ("performance", lambda material, _: Performance(items=performance(material.trades)), Performance, "by symbol"),
    ("stats", lambda material, _: stats(material.trades), Stats, "by what closed them, and how long they were held"),
    ("daily", _by_unit("days"), Periods, "by the day on which they closed"),
    ("weekly", _by_unit("weeks"), Periods, "by the week in which they closed"),
    ("monthly", _by_unit("months"), Periods, "by the month in which they closed"),
    ("count", lambda material, _: count(material), Count, "how many positions are open, and may be"),
    ("status", lambda material, _: OpenTrades(items=status(material)), OpenTrades, "the open ones at the newest close"),
)
_OF_POSITIONS = frozenset({"count", "status"})
_OF_PERIODS = frozenset({"daily", "weekly", "monthly"})


def _operations() -> tuple[Operation, ...]:
    of_bot = tuple(
        operation(
            _show(make, trades=name not in _OF_POSITIONS),
            name=f"show_{name}",
            method="GET",
            path=f"{PREFIX}/bots/{{bot_id}}/{name}",
            least="viewer",
            of="bot",
            summary=f"A bot's trades: {words}.",
            query=PeriodsQuery if name in _OF_PERIODS else AsOfQuery,
            body=Nothing,
            answer=kind,
            problems=PAST_PROBLEMS,
        )
        for name, make, kind, words in _REPORTS
    )
    of_all = tuple(
        operation(
            _show_all(make),
            name=f"show_all_{name}",
            method="GET",
            path=f"{PREFIX}/{name}",
            least="viewer",
            of="bots",
            summary=f"The trades of all bots that the caller may read: {words}.",
            query=FleetPeriodsQuery if name in _OF_PERIODS else FleetQuery,
            body=Nothing,
            answer=kind,
            problems=(404, 422, *PAST_PROBLEMS),
        )
        for name, make, kind, words in _REPORTS
    )
    return (*of_bot, *of_all)


OPERATIONS: tuple[Operation, ...] = _operations()
