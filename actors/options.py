"""How every kind of actor is spawned: names, lifetimes, restarts, resources, bounds. In one place."""

from typing import TypedDict

from events.identifiers import FleetName

NAMESPACE = "oxbot"
CALL_SECONDS = 30.0
PENDING_CALLS_MAX = 1000


class Options(TypedDict):
    """What Ray is told of an actor."""

    name: str
    namespace: str
    lifetime: str
    num_cpus: float
    max_restarts: int
    max_task_retries: int
    max_pending_calls: int
    get_if_exists: bool


def resident(name: str) -> Options:
    """A named process that outlives whoever started it and that Ray restarts; no call is ever retried by Ray."""
    return Options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        max_pending_calls=PENDING_CALLS_MAX,
        get_if_exists=True,
    )


def market_name(fleet: FleetName) -> str:
    """The market of a fleet."""
    return f"{fleet}-market"


def projector_name(fleet: FleetName) -> str:
    """The projector that a fleet's run started."""
    return f"{fleet}-projector"


def supervisor_name(fleet: FleetName) -> str:
    """The supervisor of a fleet."""
    return f"{fleet}-supervisor"
