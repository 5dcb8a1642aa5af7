"""The port to what must work before this process can serve."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Check(NamedTuple):
    """One thing that must work, whether it does, and what an operator should know of it."""

    name: str
    ok: bool
    detail: str


class Readiness(Protocol):
    """Looks at everything this process depends on."""

    async def check(self) -> Sequence[Check]:
        """Every check with its outcome, within a few seconds; a failure is an outcome, never an exception."""
        ...
