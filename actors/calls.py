"""Calls from one actor to another: bounded in time, and with our own errors instead of Ray's."""

import asyncio
from typing import Any, TypeVar

import ray
from ray.actor import ActorHandle

from actors.options import CALL_SECONDS, NAMESPACE, Options
from events.errors import OxbotError

T = TypeVar("T")

Handle = ActorHandle[Any]
"""A handle to an actor; Ray finds its methods when they are called."""


class ActorUnavailable(OxbotError):
    """The other process did not answer in time, or has just died; what it was asked may or may not have happened."""


async def answer(reference: "ray.ObjectRef[T]", *, of: str, seconds: float = CALL_SECONDS) -> T:
    """What the call returns. Raises ``ActorUnavailable`` if the process behind it cannot be reached."""
    try:
        async with asyncio.timeout(seconds):
            return await reference
    except TimeoutError as error:
        raise ActorUnavailable(f"{of} did not answer within {seconds:.0f} s") from error
    except (ray.exceptions.RayActorError, ray.exceptions.PendingCallsLimitExceeded) as error:
        raise ActorUnavailable(f"{of} is not available: {type(error).__name__}") from error


def find(name: str) -> Handle:
    """The actor of that name. Raises ``ActorUnavailable`` if there is none."""
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError as error:
        raise ActorUnavailable(f"there is no actor {name}") from error


def named() -> list[str]:
    """The names of all actors that there are."""
    known: list[dict[str, str]] = ray.util.list_named_actors(all_namespaces=True)
    return sorted(one["name"] for one in known if one["namespace"] == NAMESPACE)


def spawn(kind: type, how: Options, *arguments: object) -> Handle:
    """A handle to the actor of that name, made now unless there is one."""
    remote: Any = ray.remote(kind)
    handle: Handle = remote.options(**how).remote(*arguments)
    return handle
