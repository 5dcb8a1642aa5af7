"""What goes wrong between an execution and its venue, by the exchange's admin port, and what goes right again."""

import asyncio
from collections.abc import Mapping, Sequence

from tests.simulation.live_world import LiveWorld

Body = Mapping[str, object]

ANSWERS: Mapping[str, Body] = {
    "refused": {"kind": "scode", "code": "51008"},
    "error 50001": {"kind": "code", "code": "50001"},
    "error 50011": {"kind": "code", "code": "50011", "status": 429},
    "error 50026 before": {"kind": "code", "code": "50026"},
    "error 50026 after": {"kind": "code", "code": "50026", "when": "after"},
    "error 51149 after": {"kind": "scode", "code": "51149", "when": "after"},
    "429 before": {"kind": "http", "status": 429},
    "502 before": {"kind": "http", "status": 502},
    "504 after": {"kind": "http", "status": 504, "when": "after"},
    "html before": {"kind": "html"},
    "html after": {"kind": "html", "when": "after"},
    "hang before": {"kind": "hang", "seconds": 1.5},
    "hang after": {"kind": "hang", "seconds": 1.5, "when": "after"},
    "drop before": {"kind": "drop"},
    "drop after": {"kind": "drop", "when": "after"},
    "truncated after": {"kind": "truncate", "when": "after"},
    "slow before": {"kind": "slow", "seconds": 0.8},
    "too late": {"kind": "slow", "seconds": 2.6},
    "slow after": {"kind": "slow", "seconds": 0.8, "when": "after"},
}
"""Faults of requests; what is slow beyond ccxt's patience, and then beyond the order's, is "too late"."""

EVENTS: Mapping[str, tuple[str, Body]] = {
    "kick": ("/sockets/kick", {}),
    "mute": ("/sockets/mute", {"seconds": 3.0}),
    "skip": ("/pushes", {"kind": "skip", "count": 3}),
    "duplicate": ("/pushes", {"kind": "duplicate", "count": 3}),
    "reorder": ("/pushes", {"kind": "reorder", "count": 2}),
    "maintenance": ("/maintenance", {"on": True}),
    "outage": ("/outage", {"seconds": 0.8}),
    "clock ahead": ("/clock", {"skew_ms": 1_500}),
    "clock behind": ("/clock", {"skew_ms": -1_500}),
    "clock far off": ("/clock", {"skew_ms": 32_000}),
}
"""What happens to everything at once; a clock is far off when it is out of the window of signatures, 30 s."""

LONGEST = "clock far off"
"""What it leaves in doubt stays so until the exchange's clock has come to where it had been put."""

LASTS_SECONDS: Mapping[str, float] = {"maintenance": 0.8, "clock far off": 0.8}
ENDS: Mapping[str, tuple[str, Body]] = {
    "maintenance": ("/maintenance", {"on": False}),
    "clock far off": ("/clock", {"skew_ms": 0}),
}

STRIKES: Sequence[str] = (*ANSWERS, *EVENTS, "sessions")


async def strike(world: LiveWorld, name: str, endpoints: Sequence[str], *, count: int = 1) -> None:
    """Let it go wrong: with the next requests to each of these endpoints, or with everything."""
    if name in ANSWERS:
        for endpoint in endpoints:
            await world.admin.post("/faults", endpoint=endpoint, count=count, **ANSWERS[name])
    elif name == "sessions":
        await world.end_sessions()
    else:
        path, body = EVENTS[name]
        await world.admin.post(path, **body)
        if name in ENDS:
            await asyncio.sleep(LASTS_SECONDS[name])
            path, body = ENDS[name]
            await world.admin.post(path, **body)


async def struck(world: LiveWorld) -> int:
    """How many requests have been hit by the faults that are armed."""
    return sum(armed["hit"] for armed in await world.admin.get("/faults"))


async def cease(world: LiveWorld) -> None:
    """Everything goes right from now on."""
    await world.admin.delete("/faults")
    await world.admin.delete("/pushes")
    await world.admin.post("/clock", skew_ms=0)
