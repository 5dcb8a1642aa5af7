"""The log's Merkle tree as it is stored: roots and proofs for any size, from a few reads of a log of any length."""

from collections.abc import Sequence
from typing import Protocol

from events.errors import OxbotError
from events.merkle import (
    STORED_BITS,
    Frontier,
    Leaves,
    Span,
    Subtree,
    consistency_path,
    inclusion_path,
    join,
    peaks,
    root_of,
    stored_under,
)

STORED_WIDTH = 1 << STORED_BITS


class TreeUnusable(OxbotError):
    """Leaves or inner nodes are not stored as they must be: not sealed yet, archived, lost or altered."""


class TreeStore(Protocol):
    """The leaf hashes of the log, and the inner nodes that are kept so that nobody has to read all the leaves."""

    async def leaves(self, start: int, end: int) -> Sequence[bytes]:
        """The leaf hashes of the events at positions ``start + 1`` to ``end``, in order.

        Raises ``TreeUnusable`` unless the database holds all of them.
        """
        ...

    async def subtrees(self, span: Span) -> Sequence[bytes]:
        """The roots of kept subtrees. Raises ``TreeUnusable`` unless all of them are kept."""
        ...

    async def keep(self, subtrees: Sequence[Subtree]) -> None:
        """Keep these subtrees, together. Raises ``TreeUnusable`` if one is kept already with another root."""
        ...

    async def kept(self) -> int:
        """How many leaves the kept subtrees of the lowest level cover."""
        ...


class StoredTree:
    """The tree over a ``TreeStore``; a size may be asked for once all its subtrees are kept."""

    def __init__(self, store: TreeStore) -> None:
        self._store = store

    async def frontier(self, size: int) -> Frontier:
        """The right edge of the tree of the first ``size`` leaves."""
        return Frontier(size, [await self._complete(part) for part in peaks(Leaves(0, size))])

    async def root(self, size: int) -> bytes:
        """The root of the tree of the first ``size`` leaves."""
        return await self._node(Leaves(0, size))

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that leaf ``index``, counted from 0, is in the tree of ``size`` leaves."""
        return [await self._node(part) for part in inclusion_path(index, size)]

    async def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the tree of ``size`` leaves begins with that of the first ``old``."""
        return [await self._node(part) for part in consistency_path(old, size)]

    async def _node(self, covered: Leaves) -> bytes:
        return join([await self._complete(part) for part in peaks(covered)])

    async def _complete(self, part: Leaves) -> bytes:
        span = stored_under(part)
        if span.level == 0:
            return root_of(await self._store.leaves(*part))
        return root_of(await self._store.subtrees(span))
