"""How far the views are behind the log, and what holds them up."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.app.projections import ProjectionStatus, State
from oxbot.app.views import Standing


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The event that a projection cannot apply, or the position at which it fails; until it is skipped or mended."""

    position: int
    event_type: str
    error: str


class BuildProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A build of a projection. ``lag_seconds`` is the age of the first event that it lacks.

    ``lag_events`` below 0 says how far it claims to be beyond the end of the log.
    """

    version: int
    position: int
    lag_events: int
    lag_seconds: float
    stopped: Stop | None
    seen_at: datetime


class ProjectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """A projection as it serves, and the build under way that will take its place."""

    name: str
    state: State
    serving: BuildProgress
    rebuild: BuildProgress | None


class ProjectionList(msgspec.Struct, frozen=True, kw_only=True):
    """Every projection, in order of name."""

    items: list[ProjectionReport]


async def list_projections(call: Call[Nothing, Nothing]) -> Response:
    """Every projection's state; what stops one only to administrators, since it may tell of anybody's events."""
    statuses = await call.services.projections.statuses()
    found = report(statuses)
    return answer(found if call.signed_in.role == "admin" else _without_stops(found))


def report(statuses: Sequence[ProjectionStatus]) -> ProjectionList:
    """What is told of the projections."""
    return ProjectionList(items=[_report(status) for status in statuses])


def _without_stops(found: ProjectionList) -> ProjectionList:
    def bare(build: BuildProgress | None) -> BuildProgress | None:
        return None if build is None else replace(build, stopped=None)

    def shown(one: ProjectionReport) -> ProjectionReport:
        return replace(one, serving=replace(one.serving, stopped=None), rebuild=bare(one.rebuild))

    return ProjectionList(items=[shown(one) for one in found.items])


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_projections,
        name="list_projections",
        method="GET",
        path=f"{PREFIX}/projections",
        least="viewer",
        of="installation",
        summary="How far each projection is; to administrators also where and why one is stopped.",
        query=Nothing,
        body=Nothing,
        answer=ProjectionList,
        problems=(503,),
    ),
)


def _report(status: ProjectionStatus) -> ProjectionReport:
    rebuild = None if status.rebuild is None else _progress(status.rebuild)
    return ProjectionReport(name=status.name, state=status.state, serving=_progress(status.serving), rebuild=rebuild)


def _progress(standing: Standing) -> BuildProgress:
    return BuildProgress(
        version=standing.version,
        position=standing.position,
        lag_events=standing.head - standing.position,
        lag_seconds=round(standing.lag_seconds, 3),
        stopped=None if standing.stopped is None else Stop(**standing.stopped._asdict()),
        seen_at=standing.seen_at,
    )
