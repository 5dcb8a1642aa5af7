"""What people's keys promise, held against the table in memory and the one in Postgres."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.values import SubjectId
from oxbot.adapters.aes_gcm_subject_keys import PADDED_BYTES, AesGcmSubjectKeys, KeyTable
from oxbot.adapters.memory_subject_keys import MemoryKeyTable
from oxbot.adapters.postgres_subject_keys import PostgresKeyTable
from oxbot.app.personal import ERASED, PersonalKeyChanged, SealBroken, SubjectGone, SubjectKeys

pytestmark = pytest.mark.anyio

AT = datetime(2024, 1, 1, tzinfo=UTC)
ANN, BOB = SubjectId("user-1"), SubjectId("user-2")
NAME = "user.username"
INSTALLATION, OTHER_INSTALLATION = bytes(range(32)), bytes(32)


@pytest.fixture(params=["memory", "postgres"])
def table(request: pytest.FixtureRequest) -> KeyTable:
    """Each table in turn, empty."""
    if request.param == "memory":
        return MemoryKeyTable()
    return PostgresKeyTable(request.getfixturevalue("pool"))


@pytest.fixture
def keys(table: KeyTable) -> SubjectKeys:
    """The keys of an installation."""
    return AesGcmSubjectKeys(table, INSTALLATION)


async def test_what_was_sealed_opens_in_any_process_of_the_installation(table: KeyTable, keys: SubjectKeys) -> None:
    sealed = [
        await keys.seal(ANN, NAME, "ann"),
        await keys.seal(BOB, NAME, "bob"),
        await keys.seal(ANN, "note", "tall"),
    ]

    another = AesGcmSubjectKeys(table, INSTALLATION)
    assert [await another.open(value, NAME) for value in sealed[:2]] == ["ann", "bob"]
    assert await another.open(sealed[2], "note") == "tall"


async def test_the_same_text_never_looks_the_same_and_shows_neither_itself_nor_its_length(keys: SubjectKeys) -> None:
    short, again = await keys.seal(ANN, NAME, "a"), await keys.seal(ANN, NAME, "a")
    long = await keys.seal(ANN, NAME, "a" * (PADDED_BYTES - 1))

    assert short.nonce != again.nonce
    assert short.ciphertext != again.ciphertext
    assert len(short.ciphertext) == len(long.ciphertext)
    assert b"aaa" not in long.ciphertext


async def test_of_several_who_seal_a_new_persons_fields_at_once_all_use_one_key(keys: SubjectKeys) -> None:
    sealed = await asyncio.gather(*(keys.seal(ANN, NAME, f"ann{number}") for number in range(8)))

    assert len({value.key_id for value in sealed}) == 1
    assert [await keys.open(value, NAME) for value in sealed] == [f"ann{number}" for number in range(8)]


async def test_a_destroyed_key_leaves_its_persons_fields_erased_and_no_one_elses(keys: SubjectKeys) -> None:
    ann, bob = await keys.seal(ANN, NAME, "ann"), await keys.seal(BOB, NAME, "bob")
    for _ in range(2):
        await keys.destroy(ANN, at=AT)

    assert await keys.open(ann, NAME) is ERASED
    assert await keys.open(bob, NAME) == "bob"


async def test_an_erased_person_gets_no_other_key_whether_there_was_one_or_not(keys: SubjectKeys) -> None:
    await keys.seal(ANN, NAME, "ann")
    for subject in (ANN, BOB):
        await keys.destroy(subject, at=AT)
        with pytest.raises(SubjectGone, match=subject):
            await keys.seal(subject, NAME, "again")


async def test_a_value_under_a_key_that_is_not_there_reads_as_erased(keys: SubjectKeys) -> None:
    sealed = await keys.seal(ANN, NAME, "ann")

    assert await keys.open(msgspec.structs.replace(sealed, subject=BOB), NAME) is ERASED
    assert await keys.open(msgspec.structs.replace(sealed, key_id="another"), NAME) is ERASED


async def test_a_value_opens_only_as_the_field_and_the_person_that_it_was_sealed_for(keys: SubjectKeys) -> None:
    ann, bob = await keys.seal(ANN, NAME, "ann"), await keys.seal(BOB, NAME, "bob")
    moved = msgspec.structs.replace(ann, subject=BOB, key_id=bob.key_id)

    for value, field in ((ann, "another field"), (moved, NAME)):
        with pytest.raises(SealBroken):
            await keys.open(value, field)


async def test_a_persons_key_and_value_say_nothing_in_anothers_place(table: KeyTable, keys: SubjectKeys) -> None:
    ann = await keys.seal(ANN, NAME, "ann")
    stored = await table.find(ANN)
    assert stored is not None
    await table.add(BOB, stored)

    with pytest.raises(SealBroken):
        await keys.open(msgspec.structs.replace(ann, subject=BOB), NAME)


async def test_a_value_of_which_one_bit_was_changed_does_not_open(keys: SubjectKeys) -> None:
    sealed = await keys.seal(ANN, NAME, "ann")
    flipped = bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]

    for changed in (
        msgspec.structs.replace(sealed, ciphertext=flipped),
        msgspec.structs.replace(sealed, nonce=bytes(12)),
        msgspec.structs.replace(sealed, nonce=b""),
        msgspec.structs.replace(sealed, ciphertext=b""),
    ):
        with pytest.raises(SealBroken):
            await keys.open(changed, NAME)


async def test_under_another_installation_key_all_reads_as_erased_until_the_right_one_is_back(
    table: KeyTable, keys: SubjectKeys
) -> None:
    sealed = await keys.seal(ANN, NAME, "ann")
    other = AesGcmSubjectKeys(table, OTHER_INSTALLATION)

    assert await other.open(sealed, NAME) is ERASED
    with pytest.raises(PersonalKeyChanged, match=r"personal\.key"):
        await other.seal(ANN, NAME, "ann")
    assert await other.open(await other.seal(BOB, NAME, "bob"), NAME) == "bob"
    assert await keys.open(sealed, NAME) == "ann"


async def test_how_far_erasures_are_carried_out_is_what_was_noted_last(keys: SubjectKeys) -> None:
    assert await keys.erased_through() == 0
    for position in (7, 3):
        await keys.note_erased_through(position)
        assert await keys.erased_through() == position


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_comes_back_as_it_was(text: str) -> None:
    async def there_and_back() -> object:
        keys = AesGcmSubjectKeys(MemoryKeyTable(), INSTALLATION)
        return await keys.open(await keys.seal(ANN, NAME, text), NAME)

    assert asyncio.run(there_and_back()) == text


def test_no_key_shows_itself() -> None:
    shown = repr(AesGcmSubjectKeys(MemoryKeyTable(), INSTALLATION))
    assert INSTALLATION.hex() not in shown
    assert repr(INSTALLATION) not in shown
