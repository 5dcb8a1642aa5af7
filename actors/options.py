"""How every kind of actor is spawned: names, lifetimes, restarts, resources, bounds. In one place."""

import secrets
from typing import NotRequired, TypedDict

from events.identifiers import AccountName, FleetName

NAMESPACE = "oxbot"
CALL_SECONDS = 30.0
PENDING_CALLS_MAX = 1000

GATEWAY_CALLERS_MAX = 2000
GATEWAY_PENDING_CALLS_MAX = 64
"""Of one caller: it has one append under way, and a few reads; what it has given up waiting for counts as well."""


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
    max_concurrency: NotRequired[int]
    resources: NotRequired[dict[str, float]]


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


def passing() -> Options:
    """A process of whoever started it, for one question; it is never started again."""
    return Options(
        name=f"passing-{secrets.token_hex(8)}",
        namespace=NAMESPACE,
        lifetime="non_detached",
        num_cpus=0,
        max_restarts=0,
        max_task_retries=0,
        max_pending_calls=PENDING_CALLS_MAX,
        get_if_exists=False,
    )


def pinned(name: str, node: str) -> Options:
    """A resident that stays on the machine with this address, where its key is."""
    how = resident(name)
    how["resources"] = {f"node:{node}": 0.001}
    return how


def gateway(name: str, node: str | None) -> Options:
    """A resident that many processes call at once, kept on the machine with this address if there is one."""
    how = resident(name)
    how["max_concurrency"] = GATEWAY_CALLERS_MAX
    how["max_pending_calls"] = GATEWAY_PENDING_CALLS_MAX
    if node is not None:
        # Ray gives every machine this resource; a preference alone it ignores for actors that ask for no processor.
        how["resources"] = {f"node:{node}": 0.001}
    return how


def market_name(fleet: FleetName) -> str:
    """The market of a fleet."""
    return f"{fleet}-market"


def projector_name(fleet: FleetName) -> str:
    """The projector that a fleet's run started."""
    return f"{fleet}-projector"


def sealer_name(fleet: FleetName) -> str:
    """The sealer that a fleet's run started."""
    return f"{fleet}-sealer"


def notifier_name(fleet: FleetName) -> str:
    """The notifier that a fleet's run started."""
    return f"{fleet}-notifier"


def execution_name(fleet: FleetName, account: AccountName | str = "") -> str:
    """The execution of an account that a fleet's run started; without an account, how all of them begin."""
    return f"{fleet}-execution-{account}"


def models_name(fleet: FleetName) -> str:
    """The process that a fleet's run started to ask language models."""
    return f"{fleet}-models"


def supervisor_name(fleet: FleetName) -> str:
    """The supervisor of a fleet."""
    return f"{fleet}-supervisor"


def gateway_name(fleet: FleetName, node: str) -> str:
    """The gateway of a fleet on the machine with this address."""
    return f"{fleet}-gateway-{node}"
