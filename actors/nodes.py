"""The machines of the cluster, by address."""

import ray


def alive_nodes() -> list[str]:
    """Every machine that is part of the cluster now, in order of address."""
    return sorted({str(node["NodeManagerAddress"]) for node in _nodes() if node["Alive"]})


def this_node() -> str:
    """The machine that this process runs on."""
    node_id = ray.get_runtime_context().get_node_id()
    return next(str(node["NodeManagerAddress"]) for node in _nodes() if node["NodeID"] == node_id)


def _nodes() -> list[dict[str, object]]:
    nodes: list[dict[str, object]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
    return nodes
