"""Compares the inner nodes that are kept beside the log with those that its events lead to."""

from collections.abc import Sequence

from events.merkle import STORED_BITS, Span, Subtree
from oxbot.app.audit_walk import Positions, Problem
from oxbot.app.tree import TreeStore, TreeUnusable


class NodeCheck:
    """Compares nodes as the events lead to them, and counts those that are missing.

    kept: how many leaves the kept nodes cover. needed: how many of them must, as proofs under signed checkpoints need
    them. A wrong node is a problem; a missing one is none, since all of them can be made again from the leaves.
    """

    def __init__(self, tree: TreeStore, *, kept: int, needed: int) -> None:
        self._tree = tree
        self._kept = kept
        self._needed = max(kept, needed)
        self.missing = 0

    async def compare(self, subtrees: Sequence[Subtree], *, holes: Sequence[Positions]) -> list[Problem]:
        """What is wrong with these; nothing is said of those over a hole, whose roots the events do not tell."""
        problems: list[Problem] = []
        for level in sorted({subtree.level for subtree in subtrees}):
            due = [one for one in subtrees if one.level == level and _leaves(one).last <= self._needed]
            here = [one for one in due if _leaves(one).last <= self._kept]
            stored = await self._stored(Span(level, here[0].number, len(here))) if here else {}
            self.missing += len(due) - len(stored)
            problems += [
                Problem(_leaves(one).last, f"node {one.number} of level {level} in log.subtrees is wrong")
                for one in here
                if stored.get(one.number, one.root) != one.root and not _has_hole(_leaves(one), holes)
            ]
        return problems

    async def _stored(self, span: Span) -> dict[int, bytes]:
        """Those of the span that are kept, by number, found by halves where some are not."""
        level, first, length = span
        try:
            return dict(zip(range(first, first + length), await self._tree.subtrees(span), strict=True))
        except TreeUnusable:
            if length == 1:
                return {}
        half = length // 2
        lower = await self._stored(Span(level, first, half))
        return lower | await self._stored(Span(level, first + half, length - half))


def _leaves(subtree: Subtree) -> Positions:
    width = 1 << STORED_BITS * subtree.level
    return Positions(subtree.number * width + 1, (subtree.number + 1) * width)


def _has_hole(leaves: Positions, holes: Sequence[Positions]) -> bool:
    return any(hole.first <= leaves.last and leaves.first <= hole.last for hole in holes)
