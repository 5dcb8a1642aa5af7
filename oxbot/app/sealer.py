"""Seals the log: grows its Merkle tree, signs the root of each new size, and records it as a fact."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import structlog

from events.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    SignerKey,
    is_signed_by,
    open_checkpoint,
    read_unverified,
    sign_checkpoint,
)
from events.envelope import Metadata, NewEvent
from events.errors import OxbotError, UndecodableFact, WrongExpectedVersion
from events.identifiers import new_event_id
from events.log import EventLog
from events.merkle import Frontier, Subtree
from events.system import SYSTEM_STREAM
from oxbot.app.checkpoints import CheckpointStore, SealMemory, SystemTail, TwoRoots, checkpoint_fact
from oxbot.app.clock import Clock
from oxbot.app.tree import StoredTree, TreeStore, TreeUnusable

PAGE = 20_000
WAIT_SECONDS = 5.0

logger = structlog.get_logger(__name__)


class SealerRefused(OxbotError):
    """The log is not the one that was sealed before, or no longer all of it; nothing more is signed."""


class SealerState(NamedTuple):
    """The size of the newest checkpoint, and why nothing more is signed, if so."""

    sealed: int
    refusal: str | None


class Sealer:
    """Signs checkpoints of one log with one key, each of which extends everything it signed before.

    Killed at any moment, it goes on: a checkpoint is remembered beside the key before it is recorded, so a size never
    gets a second root, and one that was remembered but not recorded is followed by the next.
    """

    def __init__(
        self,
        log: EventLog,
        tree: TreeStore,
        *,
        checkpoints: CheckpointStore,
        memory: SealMemory,
        key: SignerKey,
        clock: Clock,
        interval_seconds: float,
    ) -> None:
        self._log = log
        self._tree = tree
        self._checkpoints = checkpoints
        self._memory = memory
        self._key = key
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._frontier: Frontier | None = None
        self._sealed = 0
        self._version = 0
        self._seen = 0
        self._turn = asyncio.Lock()
        self._refusal: str | None = None

    @property
    def state(self) -> SealerState:
        """How far the log is sealed, as far as this sealer knows, and why it goes no further, if it does not."""
        return SealerState(self._sealed, self._refusal)

    async def run(self) -> None:
        """Seal what is new, at most once an interval, until cancelled; a refusal ends it, for the operator to look."""
        while self._refusal is None:
            if await self.attempt():
                await self._clock.sleep(self._interval_seconds)
            await self._log.wait_beyond(self._seen, timeout_seconds=WAIT_SECONDS)

    async def attempt(self) -> bool:
        """Seal what is new; a refusal is logged and kept, and False."""
        try:
            return await self.seal()
        except (SealerRefused, TreeUnusable, UndecodableFact) as error:
            logger.exception("sealer_refused")
            self._refusal = str(error)
            return False

    async def seal(self) -> bool:
        """Sign and record a checkpoint of the whole log; False if nothing but checkpoints is new.

        Raises ``SealerRefused``, ``TreeUnusable``, or ``UndecodableFact`` for a recorded checkpoint that is none.
        """
        async with self._turn:
            frontier = self._frontier or await self._begin()
            head = await self._log.head()
            if head < frontier.size:
                raise SealerRefused(f"the log has shrunk: it held {frontier.size} events, and now it holds {head}")
            self._seen = head
            if not await self._checkpoints.others(self._sealed, head):
                return False
            grown = frontier.copy()
            async for completed in self._extend(grown, head):
                await self._tree.keep(completed)
            self._frontier = grown
            await self._record(Checkpoint(self._key.verifier.name, grown.size, grown.root()))
            return True

    async def _begin(self) -> Frontier:
        """Find out what was signed before, and make sure that the log still begins with it."""
        tail = await self._checkpoints.tail()
        head = await self._log.head()
        claims = await self._claims(tail, head)
        largest = max((claim.size for claim in claims), default=0)
        # What is kept beyond the largest checkpoint was never signed: it is made again.
        frontier = await StoredTree(self._tree).frontier(min(await self._tree.kept(), largest))
        completed: list[Subtree] = []
        for size, root, _ in sorted(claims):
            async for subtrees in self._extend(frontier, size):
                completed += subtrees
            found = frontier.root() if size == frontier.size else await StoredTree(self._tree).root(size)
            if found != root:
                raise SealerRefused(await self._why(size, root))
        await self._tree.keep(completed)
        for claim in claims:
            await self._remember(claim.note)
        self._version = tail.version
        self._sealed = 0 if tail.newest is None else tail.newest.size
        return frontier

    async def _claims(self, tail: SystemTail, head: int) -> list["_Claim"]:
        """What was signed before: the checkpoint remembered here, and the newest that the log holds."""
        notes = [await self._memory.last(), None if tail.newest is None else tail.newest.fact.note]
        claims = [self._claim(note) for note in notes if note is not None]
        for claim in claims:
            if claim.size > head:
                raise SealerRefused(
                    f"a checkpoint of {claim.size} events was signed, but the log holds {head}: "
                    "its end was cut off, or an older copy of it was restored"
                )
        return claims

    def _claim(self, note: str) -> "_Claim":
        """The checkpoint in a note: if the note claims our signature, that must be right."""
        key = self._key.verifier
        try:
            checkpoint = read_unverified(note)
            if is_signed_by(note, key):
                open_checkpoint(note, [key])
            else:
                logger.warning("checkpoint_of_another_key", tree_size=checkpoint.size)
        except CheckpointInvalid as error:
            raise SealerRefused(f"the last checkpoint was altered: {error}") from error
        if checkpoint.origin != key.name:
            raise SealerRefused(f"the last checkpoint is of the log {checkpoint.origin}, but this log is {key.name}")
        return _Claim(checkpoint.size, checkpoint.root, note)

    async def _extend(self, frontier: Frontier, size: int) -> AsyncIterator[list[Subtree]]:
        """Grow the frontier to this size, page by page; each time the subtrees that this completed."""
        while frontier.size < size:
            leaves = await self._tree.leaves(frontier.size, min(size, frontier.size + PAGE))
            yield frontier.extend(leaves)

    async def _record(self, checkpoint: Checkpoint) -> None:
        """Sign it, remember it, and only then show it to anybody."""
        note = sign_checkpoint(checkpoint, self._key)
        await self._remember(note)
        event = NewEvent(
            event_id=new_event_id(),
            occurred_at=self._clock.now(),
            fact=checkpoint_fact(checkpoint, note),
            metadata=Metadata(actor="sealer"),
        )
        while True:
            try:
                appended = await self._log.append(SYSTEM_STREAM, [event], expected=self._version)
            except WrongExpectedVersion:
                tail = await self._checkpoints.tail()
                if tail.newest is not None and tail.newest.size > self._sealed:
                    # Another sealer was faster. What it signed must hold, so everything is looked at again.
                    self._frontier = None
                    return
                self._version = tail.version
            else:
                self._version, self._sealed = appended.version, checkpoint.size
                return

    async def _remember(self, note: str) -> None:
        try:
            await self._memory.remember(note)
        except TwoRoots as error:
            raise SealerRefused(str(error)) from error

    async def _why(self, size: int, root: bytes) -> str:
        """What is wrong when the tree's root is not the one that was signed: the leaves, or only the kept nodes."""
        leaves_alone = Frontier()
        async for _ in self._extend(leaves_alone, size):
            pass
        if leaves_alone.root() == root:
            return "the inner nodes in log.subtrees are damaged, but the events are not: empty that table"
        return (
            f"the first {size} events are not those that were signed: their root is {leaves_alone.root().hex()}, "
            f"signed was {root.hex()}; oxbot audit verify finds the place"
        )


class _Claim(NamedTuple):
    size: int
    root: bytes
    note: str
