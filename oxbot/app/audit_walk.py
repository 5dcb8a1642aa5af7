"""One walk over the log's events: hashes made again, chains followed, the tree grown, recorded checkpoints compared."""

import base64
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from events.checkpoint import Checkpoint, CheckpointInvalid, VerifierKey, open_checkpoint, read_unverified
from events.codec import UNREADABLE, Codec
from events.entry import FIRST_PREV_HASH, RawEvent, leaf_of
from events.merkle import Frontier, Subtree
from events.system import SYSTEM_STREAM, CheckpointSigned, StreamEnded
from oxbot.app.audit_log import Page, StreamHead
from oxbot.app.checkpoints import CHECKPOINT

_MISSING = bytes(32)
_END = str(StreamEnded.__struct_config__.tag)


class Problem(NamedTuple):
    """Something about the log that is not as it was recorded, and the position where that shows, if at any."""

    position: int | None
    what: str


class Positions(NamedTuple):
    """A run of positions, both ends included."""

    first: int
    last: int


class Walk:
    """Takes the events after those of a frontier, page by page, and collects what is wrong with them.

    ``roots`` holds the root of each size asked for, as soon as that many events were taken. A stored hash that is wrong
    is told once, where it stands; the tree is grown from the hashes as they should be. ``holes`` are the positions
    whose leaf hash cannot be told, ``lost`` those of them that could not be read.
    """

    def __init__(
        self, frontier: Frontier, *, origin: str, sizes: Iterable[int], codec: Codec, keys: Sequence[VerifierKey]
    ) -> None:
        self.frontier = frontier
        self.heads: dict[str, StreamHead] = {}
        self.roots = {frontier.size: frontier.root()}
        self.subtrees: list[Subtree] = []
        self.problems: list[Problem] = []
        self.holes: list[Positions] = []
        self.lost: list[Positions] = []
        self.events = 0
        self.checkpoints = 0
        self.good_size = 0
        self.clock_steps_back = 0
        self.begins_after = frontier.size
        self._origin = origin
        self._codec = codec
        self._keys = keys
        self._wanted = sorted({size for size in sizes if size > frontier.size}, reverse=True)
        self._next = frontier.size + 1
        self._recorded_at = -(1 << 63)
        self._signed_size = 0
        self._lost_to = 0
        self._first_misfit = 0
        self._misfits = 0

    def take(self, page: Page) -> None:
        """Look at the next page of events."""
        leaves: list[bytes] = []
        signed: list[RawEvent] = []
        for event in page.events:
            if event.position != self._next:
                self._fill(event.position, leaves)
            leaf = leaf_of(event)
            if leaf != event.leaf_hash:
                self._report(event, "its content does not have the hash that was recorded for it")
                self.holes.append(Positions(event.position, event.position))
            self._follow(event)
            if event.recorded_at < self._recorded_at:
                self.clock_steps_back += 1
            self._recorded_at = event.recorded_at
            if event.event_type == CHECKPOINT and event.stream == SYSTEM_STREAM:
                signed.append(event)
            leaves.append(leaf)
            self._next = event.position + 1
        self.events += len(page.events)
        if page.lost is None:
            self._fill(page.last + 1, leaves)
        else:
            self._lose(page.last, page.lost, leaves)
        self._grow(leaves)
        for event in signed:
            self._compare(event)

    def told(self) -> list[Problem]:
        """The problems; of the checkpoints that do not match the events only the first is one, with a count."""
        problems = list(self.problems)
        if self._misfits > 1:
            position, what = problems[self._first_misfit]
            later = self._misfits - 1
            others = "1 later checkpoint does" if later == 1 else f"{later} later checkpoints do"
            problems[self._first_misfit] = Problem(position, f"{what}, and {others} not match either")
        return problems

    def _fill(self, position: int, leaves: list[bytes]) -> None:
        """Something is not where it must be: say so, and let the tree go on as if there were events."""
        missing = position - self._next
        if missing > 0:
            self.holes.append(Positions(self._next, position - 1))
        if missing == 1:
            self.problems.append(Problem(self._next, "there is no event at this position"))
        elif missing > 1:
            self.problems.append(
                Problem(self._next, f"there are no events at positions {self._next} to {position - 1}")
            )
        elif missing < 0:
            self.problems.append(Problem(position, "there is more than one event at this position"))
        leaves += [_MISSING] * missing
        self._next = max(position, self._next)

    def _lose(self, last: int, why: str, leaves: list[bytes]) -> None:
        """The events up to ``last`` cannot be read: say why, and let the tree and the streams go on behind them."""
        if why:
            self.problems.append(Problem(self._next, why))
        self.holes.append(Positions(self._next, last))
        self.lost.append(Positions(self._next, last))
        leaves += [_MISSING] * (last + 1 - self._next)
        self._lost_to, self._next = last, last + 1

    def _follow(self, event: RawEvent) -> None:
        """The chain of the event's stream; over what was lost it is followed by version alone."""
        _, stream, version, _, event_type, *_, prev_hash, _ = event
        head = self.heads.get(stream)
        if not stream:
            self._report(event, "it belongs to no stream that log.streams knows")
        elif head is None:
            if version == 1 and prev_hash != FIRST_PREV_HASH:
                self._report(event, "it is the first of its stream, but is chained to another event")
            elif version != 1 and self.begins_after == 0 and not self._lost_to:
                self._report(event, f"it is version {version} of its stream, which begins with it")
        elif version > head.version + 1 and head.last_position < self._lost_to:
            pass
        elif version != head.version + 1:
            self._report(event, f"it is version {version} of its stream, after version {head.version}")
        elif prev_hash != head.last_hash:
            self._report(event, f"it is not chained to version {head.version} of its stream")
        elif head.ended:
            self._report(event, f"it follows version {head.version} of its stream, which ended the stream")
        self.heads[stream] = StreamHead(version, event.position, event.leaf_hash, event_type == _END)

    def _grow(self, leaves: Sequence[bytes]) -> None:
        """Add the leaves to the tree, and note the roots that were asked for on the way."""
        done = 0
        while self._wanted and self._wanted[-1] <= self.frontier.size + len(leaves) - done:
            size = self._wanted.pop()
            until = done + size - self.frontier.size
            self.subtrees += self.frontier.extend(leaves[done:until])
            self.roots[size] = self.frontier.root()
            done = until
        self.subtrees += self.frontier.extend(leaves[done:])

    def _compare(self, event: RawEvent) -> None:
        """A recorded checkpoint: well signed, true to its note, beyond the last one, and of the events as they are."""
        try:
            fact = self._codec.decode(CHECKPOINT, event.schema_version, event.payload)
            checkpoint = self._opened(fact)
        except (*UNREADABLE, CheckpointInvalid) as error:
            self._report(event, f"the checkpoint in it is not to be trusted: {error}")
            return
        self.checkpoints += 1
        if not self._signed_size < checkpoint.size < event.position:
            self._report(
                event, f"the checkpoint in it is of {checkpoint.size} events, after one of {self._signed_size}"
            )
        elif checkpoint.size >= self.begins_after and self.roots.get(checkpoint.size) != checkpoint.root:
            self._misfits += 1
            if self._misfits == 1:
                self._first_misfit = len(self.problems)
                self._report(event, f"the checkpoint in it does not match the {checkpoint.size} events that it covers")
        elif checkpoint.size >= self.begins_after:
            self.good_size = checkpoint.size
        self._signed_size = checkpoint.size

    def _opened(self, fact: object) -> Checkpoint:
        if not isinstance(fact, CheckpointSigned):
            raise CheckpointInvalid("it is another fact")
        note = fact.note
        checkpoint = open_checkpoint(note, self._keys) if self._keys else read_unverified(note)
        # A log that does not know its name any more is told once, not by every checkpoint.
        said = Checkpoint(self._origin or checkpoint.origin, fact.tree_size, base64.b64decode(fact.root))
        if checkpoint != said:
            raise CheckpointInvalid("its note says something else")
        return checkpoint

    def _report(self, event: RawEvent, what: str) -> None:
        self.problems.append(Problem(event.position, f"{event.event_type} of stream {event.stream or '?'}: {what}"))
