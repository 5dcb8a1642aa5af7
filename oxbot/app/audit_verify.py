"""Verifies the log from its rows alone, against keys and checkpoints that were kept outside of the database."""

from collections.abc import Iterable, Sequence

import msgspec

from events.archived import ArchiveDamaged
from events.checkpoint import Checkpoint, VerifierKey, origin_of
from events.codec import Codec
from events.merkle import Frontier, extends
from oxbot.app.audit_log import AuditedLog, LogStanding
from oxbot.app.audit_nodes import NodeCheck
from oxbot.app.audit_walk import Positions, Problem, Walk
from oxbot.app.tree import StoredTree, TreeStore, TreeUnusable

PROBLEMS_MAX = 20


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification looked at and what it found, the problem at the lowest position first, those at none last.

    first, last: the positions whose events were read, ``last`` the head. anchored: how many events the largest trusted
    checkpoint that holds covers; signed: the same for recorded checkpoints. ids_from: the first position whose event id
    was compared with the table of ids. clock_steps_back: events recorded earlier, by the server's clock, than the event
    before them; the clock may do that, so it is no problem. nodes_missing: inner nodes of the tree that are not kept
    but should be; no problem either, since they can be made again from the leaves.
    """

    origin: str
    first: int
    last: int
    events: int
    streams: int
    checkpoints: int
    signed: int
    anchored: int
    signatures_checked: bool
    ids_from: int
    clock_steps_back: int
    nodes_missing: int
    root: str
    problems: tuple[Problem, ...]


class Verifier:
    """Verifies a log. Without keys no signature is checked, and recorded checkpoints only have to be of the events."""

    def __init__(self, log: AuditedLog, tree: TreeStore, codec: Codec, *, keys: Sequence[VerifierKey]) -> None:
        self._log = log
        self._tree = tree
        self._codec = codec
        self._keys = keys
        self._nodes = NodeCheck(tree, kept=0, needed=0)

    async def verify(self, *, anchors: Iterable[Checkpoint] = (), base: Checkpoint | None = None) -> AuditReport:
        """Verify every event, or with a ``base`` only those after the ones it covers, which it is trusted to stand for.

        ``anchors`` are checkpoints that were kept outside of the database: the log must still begin with each.
        """
        standing = await self._log.standing()
        trusted = sorted({*anchors, *([base] if base else [])}, key=lambda anchor: anchor.size)
        start = base.size if base else standing.floor - 1
        problems = _foreign(standing, trusted)
        walk = Walk(Frontier(), origin=_origin(standing), sizes=[], codec=self._codec, keys=self._keys)
        try:
            if start <= standing.head:
                walk = await self._begin(standing, trusted, start)
                problems += await self._walked(walk, standing)
                problems += await self._contradicted(trusted, base)
        except (TreeUnusable, ArchiveDamaged) as error:
            problems.append(Problem(start, f"what the events up to here come to cannot be told: {error}"))
        problems += _misfit(trusted, walk, problems)
        report = _report(standing, walk, trusted, problems, checked=bool(self._keys))
        return msgspec.structs.replace(report, nodes_missing=self._nodes.missing)

    async def _begin(self, standing: LogStanding, trusted: Sequence[Checkpoint], start: int) -> Walk:
        frontier = await StoredTree(self._tree).frontier(start)
        recorded = await self._log.checkpoint_sizes(standing.head)
        needed = max((size for size in recorded if size <= standing.head), default=0)
        self._nodes = NodeCheck(self._tree, kept=await self._tree.kept(), needed=needed)
        sizes = [*(anchor.size for anchor in trusted), *recorded]
        return Walk(frontier, origin=_origin(standing), sizes=sizes, codec=self._codec, keys=self._keys)

    async def _contradicted(self, trusted: Sequence[Checkpoint], base: Checkpoint | None) -> list[Problem]:
        """Trusted checkpoints of fewer events than the base, which the walk does not come by, that it does not fit."""
        problems = []
        for old in trusted:
            if base is None or not 0 < old.size < base.size:
                continue
            proof = await StoredTree(self._tree).consistency(old.size, base.size)
            if not extends(base.root, base.size, old_root=old.root, old_size=old.size, proof=proof):
                what = f"the checkpoint of {base.size} events does not extend a trusted one of {old.size}"
                problems.append(Problem(1, f"{what}: one of them is of other events"))
        return problems

    async def _walked(self, walk: Walk, standing: LogStanding) -> list[Problem]:
        """What is wrong with the events, and with what the log keeps beside them."""
        async for page in self._log.pages(after_position=walk.begins_after, up_to=standing.head):
            walk.take(page)
            walk.problems += await self._nodes.compare(walk.subtrees, holes=walk.holes)
            walk.subtrees.clear()
            if len(walk.problems) >= PROBLEMS_MAX:
                return walk.told()
        misfiled = await self._log.misfiled(standing)
        beside = [] if misfiled is None else [Problem(misfiled, "log.event_ids has another id for this position")]
        return [*walk.told(), *_wrong_heads(walk, standing), *_cut_off(standing), *beside]


def _origin(standing: LogStanding) -> str:
    return "" if standing.log_id is None else origin_of(standing.log_id)


def _foreign(standing: LogStanding, trusted: Sequence[Checkpoint]) -> list[Problem]:
    """What is wrong at no position, and trusted checkpoints that this log cannot match whatever its events are."""
    problems = [Problem(None, fault) for fault in standing.faults]
    if standing.log_id is None:
        problems.append(Problem(None, "log.identity is empty: nothing tells which log this is"))
    for anchor in trusted:
        if standing.log_id is not None and anchor.origin != _origin(standing):
            problems.append(
                Problem(None, f"the trusted checkpoint is of {anchor.origin}; this log is {_origin(standing)}")
            )
        elif anchor.size > standing.head:
            what = f"a trusted checkpoint covers {anchor.size} events, but the log ends at {standing.head}"
            problems.append(Problem(standing.head + 1, f"{what}: its end was cut off, or an older copy was restored"))
    return problems


def _misfit(trusted: Sequence[Checkpoint], walk: Walk, found: Sequence[Problem]) -> list[Problem]:
    """Trusted checkpoints that cover other events than the log holds; the place is as near as it can be told."""
    problems = []
    right = 0
    for anchor in trusted:
        root = walk.roots.get(anchor.size)
        if root == anchor.root:
            right = anchor.size
        elif root is not None:
            places = [at for at, _ in found if at is not None and right < at <= anchor.size]
            what = (
                f"the events at positions {right + 1} to {anchor.size} are not those that a trusted checkpoint covers"
            )
            problems.append(Problem(min(places, default=right + 1), what))
    return problems


def _wrong_heads(walk: Walk, standing: LogStanding) -> list[Problem]:
    """Streams that do not end where log.streams says, though the log goes on beyond that."""
    problems = []
    for stream, head in standing.streams.items():
        found, claimed = walk.heads.get(stream), head.last_position
        if claimed > standing.head or _within(claimed, walk.lost):
            continue
        if found is not None and found != head:
            missing = claimed > found.last_position and _within(claimed, walk.holes)
            what = f"stream {stream} ends at version {found.version}, position {found.last_position}"
            closed = " and no more events" if head.ended else ""
            what = f"{what}, but log.streams has version {head.version} at position {claimed}{closed}"
            problems.append(Problem(claimed if missing else found.last_position, what))
        elif found is None and claimed > walk.begins_after:
            problems.append(Problem(claimed, f"stream {stream} has no events, but log.streams knows it"))
    unknown = walk.heads.keys() - standing.streams.keys() - {""}
    return problems + [
        Problem(walk.heads[stream].last_position, f"log.streams does not know the stream {stream}")
        for stream in unknown
    ]


def _cut_off(standing: LogStanding) -> list[Problem]:
    """Heads of streams beyond the end of the log: what they stood for began to be missing where the log ends."""
    beyond = {stream: head for stream, head in standing.streams.items() if head.last_position > standing.head}
    if not beyond:
        return []
    stream, head = max(beyond.items(), key=lambda item: item[1].last_position)
    others = "" if len(beyond) == 1 else f" and the ends of {len(beyond) - 1} more streams behind its own"
    what = f"log.streams has version {head.version} of stream {stream} at position {head.last_position}{others}"
    return [Problem(standing.head + 1, f"{what}, but the log ends at {standing.head}: its end was cut off")]


def _within(position: int, runs: Sequence[Positions]) -> bool:
    return any(run.first <= position <= run.last for run in runs)


def _report(
    standing: LogStanding, walk: Walk, trusted: Sequence[Checkpoint], problems: Sequence[Problem], *, checked: bool
) -> AuditReport:
    holding = [anchor.size for anchor in trusted if walk.roots.get(anchor.size) == anchor.root]
    return AuditReport(
        origin=_origin(standing),
        first=walk.begins_after + 1,
        last=standing.head,
        events=walk.events,
        streams=len(walk.heads),
        checkpoints=walk.checkpoints,
        signed=walk.good_size,
        anchored=max(holding, default=0),
        signatures_checked=checked,
        ids_from=standing.ids_from or standing.floor,
        clock_steps_back=walk.clock_steps_back,
        nodes_missing=0,
        root=walk.frontier.root().hex(),
        problems=(*_first(problems), *(problem for problem in problems if problem.position is None)),
    )


def _first(problems: Sequence[Problem]) -> list[Problem]:
    placed = [(problem.position, problem) for problem in problems if problem.position is not None]
    return [problem for _, problem in sorted(placed, key=lambda pair: pair[0])[:PROBLEMS_MAX]]
