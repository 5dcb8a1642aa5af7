"""Faults that a test arms: which request they hit, how often, and what goes wrong before or after it is carried out."""

import random
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec

Kind = Literal["code", "scode", "http", "html", "hang", "drop", "truncate", "slow"]

HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault.

    kind: code (the whole answer is this error), scode (every row of an order's answer is), http (``status`` and a
    page of HTML), html (200 and a page of HTML), hang (no answer for ``seconds``, then the connection is dropped),
    drop (the connection is reset), truncate (half of the answer), slow (everything right, but ``seconds`` late).
    when: before (the request is not carried out; a slow one is carried out late) or after (it is).
    endpoint: such as "POST trade/batch-orders" or "WS batch-orders"; ``*`` stands for any characters.
    account, instrument: names or patterns; a request without one is only hit by ``*``.
    after: how many matching requests are spared first. count: how many are hit then; null: all.
    probability: of each of those that would be hit.
    """

    kind: Kind
    when: Literal["before", "after"] = "before"
    endpoint: str = "*"
    account: str = "*"
    instrument: str = "*"
    count: Annotated[int, msgspec.Meta(ge=1)] | None = 1
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    code: str = "50026"
    message: str | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30.0


class Armed(msgspec.Struct, kw_only=True):
    """A fault and what it has done so far."""

    fault_id: int
    fault: Fault
    matched: int = 0
    hit: int = 0


class Faults:
    """All that are armed, oldest first; a request is hit by the first that wants it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a repeatable choice is what is wanted
        self._armed: dict[int, Armed] = {}
        self._last_id = 0
        self.maintenance = False
        """Every request is answered 50001."""

    def arm(self, fault: Fault) -> int:
        """Its number."""
        self._last_id += 1
        self._armed[self._last_id] = Armed(fault_id=self._last_id, fault=fault)
        return self._last_id

    def disarm(self, fault_id: int | None = None) -> None:
        """One, or all and the maintenance."""
        if fault_id is None:
            self._armed.clear()
            self.maintenance = False
        else:
            self._armed.pop(fault_id, None)

    def armed(self) -> Sequence[Armed]:
        """All, those that are used up included."""
        return tuple(self._armed.values())

    def draw(self, endpoint: str, *, account: str, instruments: Sequence[str]) -> Fault | None:
        """What happens to this request."""
        for armed in self._armed.values():
            fault = armed.fault
            if not (
                fnmatchcase(endpoint, fault.endpoint)
                and fnmatchcase(account, fault.account)
                and any(fnmatchcase(instrument, fault.instrument) for instrument in instruments or ("",))
            ):
                continue
            if fault.count is not None and armed.hit >= fault.count:
                continue
            armed.matched += 1
            if armed.matched > fault.after and self._random.random() < fault.probability:
                armed.hit += 1
                return fault
        return None


class PushFault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with the next ``count`` pushes of a channel: skipped, doubled, or sent after the next."""

    kind: Literal["skip", "duplicate", "reorder"]
    channel: str = "*"
    account: str = "*"
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class PushFaults:
    """Armed push faults of all sessions, oldest first."""

    def __init__(self) -> None:
        self._armed: list[PushFault] = []

    def arm(self, fault: PushFault) -> None:
        """From the next push on."""
        self._armed.append(fault)

    def disarm(self) -> None:
        """All."""
        self._armed.clear()

    def draw(self, channel: str, account: str) -> Literal["skip", "duplicate", "reorder"] | None:
        """What happens to this push."""
        for fault in self._armed:
            if not (fnmatchcase(channel, fault.channel) and fnmatchcase(account, fault.account)):
                continue
            if fault.after:
                fault.after -= 1
                continue
            fault.count -= 1
            if not fault.count:
                self._armed.remove(fault)
            return fault.kind
        return None
