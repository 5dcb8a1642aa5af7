"""How an installation's connections to Postgres are shared out: so many to each kind of process, the rest to hosts."""

from collections.abc import Mapping, Sequence

import msgspec

from oxbot.config import InvalidSetting

FIXED: Mapping[str, int] = {"starter": 4, "api": 4, "market": 1, "projector": 2, "supervisor": 1, "sealer": 1}
"""What each process holds that an installation has once; the starter is ``oxbot up`` or ``oxbot demo`` itself."""

GATEWAY = 2
"""A gateway appends over one connection and reads over another, so that a long read holds up no append."""


class HostConnections(msgspec.Struct, frozen=True, kw_only=True):
    """How hosts reach the log: the first ``direct`` over a connection each, the others by a gateway on these nodes."""

    direct: int
    gateways: tuple[str, ...]


def share_out(connections_max: int, nodes: Sequence[str]) -> HostConnections:
    """A gateway for each node while they fit, and every connection that is left over to a host of its own.

    Which host goes which way depends on its number alone, so a restarted supervisor decides as the one before it did.
    Raises ``InvalidSetting`` if there is no room for a single gateway.
    """
    left = connections_max - sum(FIXED.values())
    if left < GATEWAY:
        needed = sum(FIXED.values()) + GATEWAY
        raise InvalidSetting(f"setting: OXBOT_CONNECTIONS_MAX is {connections_max}, but must be at least {needed}")
    gateways = tuple(nodes[: left // GATEWAY])
    return HostConnections(direct=left - GATEWAY * len(gateways), gateways=gateways)
