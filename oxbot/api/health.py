"""Whether the process lives and whether it can serve."""

import msgspec
import structlog
from starlette.responses import Response

from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import Call, Operation, operation

_log = structlog.get_logger(__name__)


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: str = "alive"


class CheckOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that must work; what is said of it beyond that is for those who are signed in."""

    name: str
    ok: bool
    detail: str = ""


class ReadinessReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether everything works."""

    ready: bool
    checks: list[CheckOutcome]


async def show_alive(_: Call[Nothing, Nothing]) -> Response:
    """Alive, whatever else is wrong."""
    return answer(Alive())


async def show_ready(call: Call[Nothing, Nothing]) -> Response:
    """200 if every check is fine, else 503 with the same report."""
    checks = await call.services.readiness.check()
    ready = all(check.ok for check in checks)
    if not ready:
        _log.warning("not_ready", failed=[f"{check.name}: {check.detail}" for check in checks if not check.ok])
    outcomes = [
        CheckOutcome(name=check.name, ok=check.ok, detail=check.detail if call.user else "") for check in checks
    ]
    headers = {} if ready else {"Retry-After": "2"}
    return answer(ReadinessReport(ready=ready, checks=outcomes), 200 if ready else 503, headers)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        show_alive,
        name="show_alive",
        method="GET",
        path="/healthz",
        least="anyone",
        of="installation",
        summary="The process is alive.",
        query=Nothing,
        body=Nothing,
        answer=Alive,
    ),
    operation(
        show_ready,
        name="show_ready",
        method="GET",
        path="/readyz",
        least="anyone",
        of="installation",
        summary="Everything that the process needs works; 503 with the same report if not.",
        query=Nothing,
        body=Nothing,
        answer=ReadinessReport,
    ),
)
