"""The Merkle tree against the published vectors of RFC 6962, against another implementation, and for any tree."""

from collections.abc import Sequence

import pymerkle
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from events.merkle import (
    EMPTY_ROOT,
    Frontier,
    Leaves,
    Span,
    consistency_path,
    extends,
    hash_leaf,
    hash_node,
    includes,
    inclusion_path,
    join,
    peaks,
    prove,
    root_of,
    stored_under,
)

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

SIZES = st.integers(1, 700)


def leaves(count: int) -> list[bytes]:
    return [hash_leaf(number.to_bytes(4)) for number in range(count)]


def slow_root(hashes: Sequence[bytes]) -> bytes:
    """The root as RFC 6962 defines it, in its own words."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while 2 * split < len(hashes):
        split *= 2
    return hash_node(slow_root(hashes[:split]), slow_root(hashes[split:]))


def proof(path: Sequence[Leaves], hashes: Sequence[bytes]) -> list[bytes]:
    return prove(path, lambda start, end: root_of(hashes[start:end]))


def their_tree(count: int) -> pymerkle.InmemoryTree:
    tree = pymerkle.InmemoryTree()
    for number in range(count):
        tree.append_entry(number.to_bytes(4))
    return tree


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_published_tree(size: int) -> None:
    hashes = [hash_leaf(entry) for entry in ENTRIES[:size]]
    frontier = Frontier()
    frontier.extend(hashes)

    assert root_of(hashes).hex() == ROOTS[size]
    assert frontier.root().hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int) -> None:
    hashes = [hash_leaf(entry) for entry in ENTRIES[:size]]
    found = proof(inclusion_path(index, size), hashes)

    assert [node.hex() for node in found] == INCLUSION[index, size]
    assert includes(bytes.fromhex(ROOTS[size]), size, index=index, leaf=hashes[index], proof=found)


@pytest.mark.parametrize(("old", "size"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(old: int, size: int) -> None:
    found = proof(consistency_path(old, size), [hash_leaf(entry) for entry in ENTRIES[:size]])

    assert [node.hex() for node in found] == CONSISTENCY[old, size]
    assert extends(bytes.fromhex(ROOTS[size]), size, old_root=bytes.fromhex(ROOTS[old]), old_size=old, proof=found)


@given(SIZES, st.data())
def test_another_implementation_has_the_same_roots_and_inclusion_proofs(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree, hashes = their_tree(size), leaves(size)
    theirs = tree.prove_inclusion(index + 1, size)
    ours = proof(inclusion_path(index, size), hashes)

    assert tree.get_root(size) == root_of(hashes)
    assert theirs.path == [hashes[index], *ours]
    assert includes(tree.get_root(size), size, index=index, leaf=tree.get_leaf(index + 1), proof=theirs.path[1:])


@given(SIZES, st.data())
def test_our_consistency_proof_leads_from_one_of_their_roots_to_another(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    tree = their_tree(size)
    ours = proof(consistency_path(old, size), leaves(size))

    assert extends(tree.get_root(size), size, old_root=tree.get_root(old), old_size=old, proof=ours)


@given(st.integers(0, 700))
def test_the_root_is_the_defined_one(size: int) -> None:
    assert root_of(leaves(size)) == slow_root(leaves(size))


@given(st.lists(st.integers(0, 600), max_size=6))
def test_a_frontier_grown_in_any_steps_has_the_root_of_all_leaves(steps: list[int]) -> None:
    hashes = leaves(sum(steps))
    frontier = Frontier()
    for step in steps:
        frontier.extend(hashes[frontier.size : frontier.size + step])

    assert frontier.size == sum(steps)
    assert frontier.root() == root_of(hashes)


@given(st.integers(0, 700), st.integers(0, 700))
def test_a_frontier_made_from_its_peaks_goes_on_as_if_it_had_grown(size: int, more: int) -> None:
    hashes = leaves(size + more)
    found = [root_of(hashes[start:end]) for start, end in peaks(Leaves(0, size))]
    frontier = Frontier(size, found)
    assert frontier.root() == root_of(hashes[:size])

    frontier.extend(hashes[size:])
    assert frontier.root() == root_of(hashes)


def test_a_copy_of_a_frontier_grows_for_itself() -> None:
    hashes = leaves(11)
    frontier = Frontier()
    frontier.extend(hashes[:7])
    copy = frontier.copy()
    copy.extend(hashes[7:])

    assert (frontier.size, frontier.root()) == (7, root_of(hashes[:7]))
    assert (copy.size, copy.root()) == (11, root_of(hashes))


@pytest.mark.parametrize("first", [0, 1, 255, 256, 300, 65_000])
def test_growing_gives_every_completed_stored_subtree_once_and_right(first: int) -> None:
    hashes = leaves(66_000)
    frontier = Frontier()
    completed = frontier.extend(hashes[:first]) + frontier.extend(hashes[first:])

    assert sorted((level, number) for level, number, _ in completed) == [(1, n) for n in range(257)] + [(2, 0)]
    for level, number, root in completed:
        width = 256**level
        assert root == root_of(hashes[number * width : (number + 1) * width])


@given(SIZES, st.data())
def test_an_altered_inclusion_proof_proves_nothing(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    good = proof(inclusion_path(index, size), hashes)
    bad = data.draw(altered(good))
    root = root_of(hashes)

    assert not includes(root, size, index=index, leaf=hashes[index], proof=bad)
    assert not includes(hash_leaf(root), size, index=index, leaf=hashes[index], proof=good)
    assert not includes(root, size, index=index, leaf=hash_leaf(b"another"), proof=good)
    assert not includes(root, size, index=size, leaf=hashes[index], proof=good)
    assert not includes(root, size, index=-1, leaf=hashes[index], proof=good)


@given(st.integers(2, 700), st.data())
@example(2, None)
def test_an_altered_consistency_proof_proves_nothing(size: int, data: st.DataObject | None) -> None:
    old = 1 if data is None else data.draw(st.integers(1, size - 1))
    hashes = leaves(size)
    good = proof(consistency_path(old, size), hashes)
    bad = [] if data is None else data.draw(altered(good))
    new_root, old_root = root_of(hashes), root_of(hashes[:old])

    assert not extends(new_root, size, old_root=old_root, old_size=old, proof=bad)
    assert not extends(new_root, size, old_root=hash_leaf(b"another"), old_size=old, proof=good)
    assert not extends(hash_leaf(b"another"), size, old_root=old_root, old_size=old, proof=good)
    assert not extends(old_root, old, old_root=new_root, old_size=size, proof=good)


@pytest.mark.parametrize("claimed", [5, 7, 8, 9, 16])
def test_a_proof_for_a_tree_is_none_for_one_of_a_wrong_size(claimed: int) -> None:
    hashes = leaves(4)
    root, path = root_of(hashes), proof(inclusion_path(0, 4), hashes)
    assert includes(root, 4, index=0, leaf=hashes[0], proof=path)
    assert not includes(root, claimed, index=0, leaf=hashes[0], proof=path)

    old_root, path = root_of(hashes[:2]), proof(consistency_path(2, 4), hashes)
    assert extends(root, 4, old_root=old_root, old_size=2, proof=path)
    assert not extends(root, claimed, old_root=old_root, old_size=2, proof=path)


def test_equal_trees_are_consistent_without_any_proof_and_only_so() -> None:
    root = root_of(leaves(5))

    assert extends(root, 5, old_root=root, old_size=5, proof=[])
    assert not extends(root, 5, old_root=root, old_size=5, proof=[root])
    assert not extends(root, 5, old_root=hash_leaf(b"another"), old_size=5, proof=[])


@given(st.integers(1, 2**40), st.data())
def test_proofs_and_what_must_be_read_for_them_stay_small_in_any_tree(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    for path in (inclusion_path(index, size), consistency_path(index + 1, size)):
        assert len(path) <= size.bit_length() + 1
        spans = [stored_under(complete) for part in path for complete in peaks(part)]
        assert sum(span.length for span in spans) <= 256 * 2 * (size.bit_length() // 8 + 1)


@given(st.integers(0, 2**30), st.integers(0, 40))
def test_a_complete_subtree_is_covered_exactly_by_stored_ones(number: int, height: int) -> None:
    complete = Leaves(number << height, (number + 1) << height)
    span = stored_under(complete)

    width = 256**span.level
    assert (span.first * width, (span.first + span.length) * width) == complete
    assert span.length <= 128


def test_peaks_are_joined_to_the_root_of_what_they_cover() -> None:
    hashes = leaves(700)
    part = Leaves(512, 700)

    assert join([root_of(hashes[start:end]) for start, end in peaks(part)]) == root_of(hashes[512:])
    assert join([]) == EMPTY_ROOT
    assert stored_under(Leaves(512, 640)) == Span(0, 512, 128)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_a_leaf_that_is_not_in_the_tree_has_no_path(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_path(index, size)


@pytest.mark.parametrize(("old", "size"), [(0, 5), (6, 5)])
def test_a_tree_that_is_not_a_beginning_has_no_path(old: int, size: int) -> None:
    with pytest.raises(ValueError, match="does not begin"):
        consistency_path(old, size)


@st.composite
def altered(draw: st.DrawFn, good: list[bytes]) -> list[bytes]:
    """Another proof than the good one: a node changed, left out, repeated or added."""
    bad = list(good)
    place = draw(st.integers(0, len(good)))
    match draw(st.sampled_from(["change", "drop", "add"])):
        case "change" if place < len(good):
            bad[place] = hash_leaf(bad[place])
        case "drop" if place < len(good):
            del bad[place]
        case _:
            bad.insert(place, hash_leaf(b"more"))
    assume(bad != good)
    return bad
