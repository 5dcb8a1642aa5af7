"""How an installation's connections to Postgres are shared out: so many to each kind of process, the rest to hosts."""

from collections.abc import Mapping, Sequence

import msgspec

from oxbot.config import InvalidSetting

FIXED: Mapping[str, int] = {"starter": 3, "api": 4, "market": 1, "projector": 2, "supervisor": 1, "sealer": 1}
"""What each process holds that an installation has once; the starter is ``oxbot up`` or ``oxbot demo`` itself."""

GATEWAY = 2
"""A gateway appends over one connection and reads over another, so that a long read holds up no append."""

EXECUTION = 2
"""An execution waits for news in the log over one connection and appends over the other."""

NOTIFIER = 2
"""The notifier waits for news in the log over one connection and keeps its outbox over the other."""

MODELS = 2
"""What asks language models waits for requests in the log over one connection and does all else over the other."""


class HostConnections(msgspec.Struct, frozen=True, kw_only=True):
    """How hosts reach the log: the first ``direct`` over a connection each, the others by a gateway on these nodes."""

    direct: int
    gateways: tuple[str, ...]


def accounts_that_fit(connections_max: int, *, notifier: bool) -> int:
    """For how many accounts' executions there are connections beside all that an installation cannot do without."""
    left = connections_max - sum(FIXED.values()) - NOTIFIER * notifier - MODELS - GATEWAY
    return max(0, left // EXECUTION)


def too_few(connections_max: int, room: int) -> str:
    """What is to be done for the accounts beyond those that there is room for."""
    return (
        f"OXBOT_CONNECTIONS_MAX is {connections_max}, which leaves connections for {room} accounts; each one more "
        f"needs {EXECUTION} more, and oxbot up to be started again"
    )


def share_out(
    connections_max: int, nodes: Sequence[str], *, executions: int = 0, notifier: bool = False, models: bool = False
) -> HostConnections:
    """A gateway for each node while they fit, and every connection that is left over to a host of its own.

    Which host goes which way depends on its number alone, so a restarted supervisor decides as the one before it did.
    Raises ``InvalidSetting`` if there is no room for a single gateway.
    """
    once = sum(FIXED.values()) + EXECUTION * executions + NOTIFIER * notifier + MODELS * models
    left = connections_max - once
    if left < GATEWAY:
        raise InvalidSetting(
            f"setting: OXBOT_CONNECTIONS_MAX is {connections_max}, but must be at least {once + GATEWAY}"
        )
    gateways = tuple(nodes[: left // GATEWAY])
    return HostConnections(direct=left - GATEWAY * len(gateways), gateways=gateways)
