"""The Merkle tree of RFC 6962 over a growing list of leaf hashes: its roots, its proofs, and how to verify them."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves."""

STORED_BITS = 8
"""Inner nodes are kept at heights 8, 16, 24 ...: one per 256 of the level below."""

_LEAF, _NODE = b"\x00", b"\x01"


class Subtree(NamedTuple):
    """The root of the complete subtree ``number`` over 256^level leaves; level 0 is the leaves themselves."""

    level: int
    number: int
    root: bytes


class Span(NamedTuple):
    """``length`` neighbouring subtrees of one level, beginning with number ``first``."""

    level: int
    first: int
    length: int


class Leaves(NamedTuple):
    """The leaves ``start`` up to, not including, ``end``, which one node of the tree stands for."""

    start: int
    end: int


def hash_leaf(content: bytes) -> bytes:
    """The leaf hash of one entry."""
    return sha256(_LEAF + content).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(_NODE + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over leaves, or over complete subtrees of one size of which only the last may be smaller."""
    if not hashes:
        return EMPTY_ROOT
    level = hashes
    while len(level) > 1:
        odd = len(level) % 2
        parents = _parents(level)
        level = [*parents, level[-1]] if odd else parents
    return level[0]


class Frontier:
    """The tree's right edge: enough to go on from, and to tell the root, in space that grows as the logarithm."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """A tree of ``size`` leaves whose largest complete subtrees have these roots, in order of leaves."""
        heights = [height for height in range(size.bit_length()) if size >> height & 1]
        self.size = size
        self._peaks = dict(zip(reversed(heights), peaks, strict=True))

    def copy(self) -> "Frontier":
        """Another frontier that begins where this one is."""
        return Frontier(self.size, [self._peaks[height] for height in sorted(self._peaks, reverse=True)])

    def extend(self, leaves: Iterable[bytes]) -> list[Subtree]:
        """Add leaves; the subtrees worth keeping that they completed, each level in order of number."""
        completed: list[Subtree] = []
        nodes, height, before = list(leaves), 0, self.size
        self.size += len(nodes)
        while nodes:
            if height and height % STORED_BITS == 0:
                level, first = height // STORED_BITS, before >> height
                completed += [Subtree(level, first + number, root) for number, root in enumerate(nodes)]
            peak = self._peaks.pop(height, None)
            if peak is not None:
                nodes.insert(0, peak)
            if len(nodes) % 2:
                self._peaks[height] = nodes[-1]
            nodes = _parents(nodes)
            height += 1
        return completed

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return join([self._peaks[height] for height in sorted(self._peaks, reverse=True)])


def join(roots: Sequence[bytes]) -> bytes:
    """The root over neighbouring complete subtrees, each smaller than the one before."""
    if not roots:
        return EMPTY_ROOT
    joined = roots[-1]
    for left in reversed(roots[:-1]):
        joined = hash_node(left, joined)
    return joined


def peaks(leaves: Leaves) -> list[Leaves]:
    """The complete subtrees that a node over these leaves is made of, the largest first."""
    start, width = leaves.start, leaves.end - leaves.start
    found = []
    for height in reversed(range(width.bit_length())):
        if width >> height & 1:
            found.append(Leaves(start, start + (1 << height)))
            start += 1 << height
    return found


def stored_under(complete: Leaves) -> Span:
    """The stored nodes of which a complete subtree is made: at most 128, all of one level."""
    height = (complete.end - complete.start).bit_length() - 1
    level = height // STORED_BITS
    return Span(level, complete.start >> level * STORED_BITS, 1 << height % STORED_BITS)


def inclusion_path(index: int, size: int) -> list[Leaves]:
    """The nodes whose roots prove that leaf ``index`` is in the tree of ``size`` leaves, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(Leaves(middle, end))
            end = middle
        else:
            path.append(Leaves(start, middle))
            start = middle
    return path[::-1]


def consistency_path(old: int, size: int) -> list[Leaves]:
    """The nodes whose roots prove that the tree of ``size`` leaves begins with the tree of its first ``old``."""
    if not 0 < old <= size:
        raise ValueError(f"a tree of {size} leaves does not begin with one of {old}")
    path, start, end, whole = [], 0, size, True
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(Leaves(middle, end))
            end = middle
        else:
            path.append(Leaves(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(Leaves(start, end))
    return path[::-1]


def prove(path: Iterable[Leaves], root: Callable[[int, int], bytes]) -> list[bytes]:
    """The proof along a path, given what tells the root over the leaves from ``start`` to before ``end``."""
    return [root(start, end) for start, end in path]


def includes(root: bytes, size: int, *, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that leaf ``index`` of the tree of this root and size is this one (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = hash_node(sibling, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = hash_node(found, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def extends(root: bytes, size: int, *, old_root: bytes, old_size: int, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that this tree begins with the whole of the old one (RFC 9162, 2.1.4.2)."""
    if old_size == size:
        return not proof and old_root == root
    if not 0 < old_size < size or not proof:
        return False
    nodes = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    position, last = old_size - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_found = new_found = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_found, new_found = hash_node(sibling, old_found), hash_node(sibling, new_found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new_found = hash_node(new_found, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == root


def _parents(nodes: Sequence[bytes]) -> list[bytes]:
    """One node over each pair; an odd one out is left out."""
    lefts = iter(nodes)
    return [sha256(_NODE + left + right).digest() for left, right in zip(lefts, lefts, strict=False)]


def _split(width: int) -> int:
    """The largest power of two below ``width``."""
    return 1 << (width - 1).bit_length() - 1
