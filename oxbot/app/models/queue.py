"""Who is served next: each class of advice has its share; within a class, whoever was served longest ago."""

import heapq
from collections.abc import Iterable
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from events.advice import AdviceClass
from events.identifiers import BotId
from oxbot.app.models.limiter import NEVER

WEIGHTS: dict[AdviceClass, int] = {"exit": 60, "live": 25, "paper": 10, "research": 5}
"""Of a hundred calls, how many go to each class while all of them wait; none of them waits for ever."""


class Served(NamedTuple):
    """Somebody who waits for a call: a bot and its owner."""

    owner: str
    bot_id: BotId


class Waiting(Protocol):
    """Something that waits for a call."""

    @property
    def advice_class(self) -> AdviceClass:
        """The first class of those who wait for it."""
        ...

    @property
    def payees(self) -> Iterable[Served]:
        """Who waits for it; nobody, if it is of no use any more."""
        ...

    @property
    def continuing(self) -> bool:
        """Whether something was paid for it already, which would be lost."""
        ...


WaitingT = TypeVar("WaitingT", bound=Waiting)


class FairQueue(Generic[WaitingT]):
    """What waits for one model.

    Classes take turns by weight. Within a class, owners take turns by who was served longest ago, and so do the bots of
    an owner; what was paid for in part goes before what was not.
    """

    def __init__(self) -> None:
        self._numbers = 0
        self._classes = {name: _Class[WaitingT]() for name in WEIGHTS}
        self._passes = dict.fromkeys(WEIGHTS, 0.0)
        self._pass = 0.0
        self._owners: dict[str, datetime] = {}
        self._bots: dict[BotId, datetime] = {}

    def restore(self, bot_id: BotId, owner: str, at: datetime) -> None:
        """The bot was served then by a gateway before this one."""
        self._serve(Served(owner, bot_id), at)

    def push(self, waiting: WaitingT) -> None:
        """It waits from now on."""
        self._numbers += 1
        lane = self._classes[waiting.advice_class]
        if not lane.heaps:
            # A class that had nothing to ask for has no claim to what it did not use.
            self._passes[waiting.advice_class] = max(self._passes[waiting.advice_class], self._pass)
        owner = min((payee.owner for payee in waiting.payees), key=self._owner_served, default="")
        heap = lane.heaps.setdefault(owner, [])
        heapq.heappush(heap, _Entry(self._rank(waiting), self._numbers, waiting))

    def pop(self) -> WaitingT | None:
        """Whose turn it is, None if nobody waits."""
        while names := [name for name, lane in self._classes.items() if lane.heaps]:
            name = min(names, key=lambda name: self._passes[name])
            found = self._next(self._classes[name])
            if found is not None:
                self._pass = self._passes[name]
                self._passes[name] += 1 / WEIGHTS[name]
                return found
        return None

    def serve(self, payees: Iterable[Served], at: datetime) -> None:
        """They were served then."""
        for payee in payees:
            self._serve(payee, at)

    def _serve(self, payee: Served, at: datetime) -> None:
        self._owners[payee.owner] = max(at, self._owner_served(payee.owner))
        self._bots[payee.bot_id] = max(at, self._bots.get(payee.bot_id, NEVER))

    def _next(self, lane: "_Class[WaitingT]") -> WaitingT | None:
        """The next of a class; None, and the class is empty."""
        while lane.heaps:
            owner = min(lane.heaps, key=lambda owner: (lane.heaps[owner][0].rank[0], self._owner_served(owner)))
            heap = lane.heaps[owner]
            entry = heapq.heappop(heap)
            if not heap:
                del lane.heaps[owner]
            if not any(True for _ in entry.waiting.payees):
                continue
            rank = self._rank(entry.waiting)
            if rank <= entry.rank:
                return entry.waiting
            # It was served meanwhile, as part of something else.
            heapq.heappush(lane.heaps.setdefault(owner, heap), entry._replace(rank=rank))
        return None

    def _rank(self, waiting: WaitingT) -> tuple[bool, datetime]:
        served = min((self._bots.get(payee.bot_id, NEVER) for payee in waiting.payees), default=NEVER)
        return not waiting.continuing, served

    def _owner_served(self, owner: str) -> datetime:
        return self._owners.get(owner, NEVER)


class _Entry(NamedTuple, Generic[WaitingT]):
    rank: tuple[bool, datetime]
    number: int
    waiting: WaitingT


class _Class(Generic[WaitingT]):
    def __init__(self) -> None:
        self.heaps: dict[str, list[_Entry[WaitingT]]] = {}
