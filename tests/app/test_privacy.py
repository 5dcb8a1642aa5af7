"""Erasing a person: the key and the credential go, the fact stays, no byte of the log changes, nothing crashes."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import asyncpg
import msgspec
import pytest

from events.checkpoint import Checkpoint
from events.codec import FACT_TYPES, Codec
from events.envelope import Fact, NewEvent, RecordedEvent
from events.errors import BelowFloor, LogUnavailable
from events.identifiers import StreamId, new_event_id
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.postgres import PostgresEventLog
from events.system import SYSTEM_STREAM, SubjectErased
from events.user import USERNAME_FIELD, CredentialChanged, SignInSucceeded, UserCreated
from events.values import EncryptedText, SubjectId
from oxbot.adapters.aes_gcm_subject_keys import AesGcmSubjectKeys, KeyTable
from oxbot.adapters.argon2_passwords import Argon2Passwords
from oxbot.adapters.memory_accounts import MemoryCredentials
from oxbot.adapters.memory_subject_keys import MemoryKeyTable
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_subject_keys import PostgresKeyTable
from oxbot.adapters.postgres_tree import PostgresTree
from oxbot.app.accounts import Accounts, Credential, CredentialStore, SignInRefused, UnknownUser
from oxbot.app.audit_verify import Verifier
from oxbot.app.handle import fold_stream
from oxbot.app.personal import ERASED, personal_fields, subject_of
from oxbot.app.privacy import AmbiguousUser, PersonalValue, Privacy
from oxbot.core.account import AccountDecider, UserId, user_stream
from tests.api.people import sign_in_to
from tests.app.fakes import HookedLog, failing_log

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery staple"  # noqa: S105
EVERY_BYTE = "SELECT * FROM log.events ORDER BY position"
ANN = UserId("aa01")
HASH = "$argon2id$x"


def now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


class House:
    """An installation: the log, the tables beside it, and the use cases as any process has them."""

    def __init__(self, log: EventLog, credentials: CredentialStore, table: KeyTable) -> None:
        self.log = log
        self.credentials = credentials
        self.keys = AesGcmSubjectKeys(table, bytes(32))
        self.accounts = Accounts(log, credentials, self.keys, Argon2Passwords(), now=now)
        self.privacy = Privacy(log, self.keys, credentials, now=now, actor="operator")

    def over(self, log: EventLog) -> "House":
        """Another process of it, which reaches the log in another way."""
        house = House(log, self.credentials, MemoryKeyTable())
        house.keys = self.keys
        house.privacy = Privacy(log, self.keys, self.credentials, now=now, actor="operator")
        return house

    async def erasures(self) -> list[SubjectErased]:
        """Those in the log."""
        events = await self.log.read_stream(SYSTEM_STREAM)
        return [event.fact for event in events if isinstance(event.fact, SubjectErased)]

    async def account(self, user_id: UserId = ANN, name: str = "ann") -> SubjectId:
        """An account with that id and name, sealed in the log; its password is nobody's."""
        await self.credential(user_id, name)
        sealed = await self.keys.seal(subject_of(user_id), USERNAME_FIELD, name)
        created = UserCreated(username="", role="viewer", sealed_username=sealed)
        await record(self.log, user_stream(user_id), created, CredentialChanged())
        return subject_of(user_id)

    async def credential(self, user_id: UserId = ANN, name: str = "ann") -> None:
        """A credential of that id and name."""
        await self.credentials.add(
            Credential(user_id=user_id, username=name, role="viewer", password_hash=HASH), at=now()
        )

    async def is_erased(self, user_id: UserId = ANN) -> bool:
        """Whether nothing of the account can be read or used any more; that it was half-erased fails the test."""
        shown = {found.value for found in await self.privacy.show(str(user_stream(user_id)))}
        credential = await self.credentials.of(user_id)
        if shown == {ERASED}:
            assert credential is None
            return True
        return False


async def record(log: EventLog, stream: StreamId, *facts: Fact) -> None:
    """Append facts as some process did."""
    events = [NewEvent(event_id=new_event_id(), occurred_at=now(), fact=fact) for fact in facts]
    await log.append(stream, events, expected=ANY_VERSION)


@pytest.fixture
def house() -> House:
    """An empty installation in memory."""
    return House(MemoryEventLog(Codec()), MemoryCredentials(), MemoryKeyTable())


@pytest.fixture
def postgres_house(pool: asyncpg.Pool) -> House:
    """An empty installation in Postgres."""
    return House(PostgresEventLog(pool, Codec()), PostgresCredentials(pool), PostgresKeyTable(pool))


async def test_an_erased_person_cannot_sign_in_or_be_named_and_no_byte_of_the_log_changes(
    postgres_house: House, pool: asyncpg.Pool
) -> None:
    """Scenario V10."""
    house = postgres_house
    user_id = await house.accounts.create("Ann", PASSWORD, "trader")
    await house.accounts.create("bob", PASSWORD, "viewer")
    await sign_in_to(house.accounts, "ann", PASSWORD)
    before = await pool.fetch(EVERY_BYTE)
    assert [found.value for found in await house.privacy.show("ann")] == ["ann"]
    anchor = await verified(pool)

    erasure = await house.privacy.erase("ann", "asked for it")

    assert (erasure.subject, erasure.plain_positions) == (f"user-{user_id}", ())
    assert (await pool.fetch(EVERY_BYTE))[: len(before)] == before
    await verified(pool, anchor)
    assert await house.erasures() == [SubjectErased(subject=f"user-{user_id}", reason="asked for it")]
    assert await house.privacy.show(user_id) == [PersonalValue(1, USERNAME_FIELD, ERASED, plain=False)]
    assert str(ERASED) == "erased"
    with pytest.raises(SignInRefused):
        await sign_in_to(house.accounts, "ann", PASSWORD)
    assert await house.accounts.find(user_id) is None
    assert (await sign_in_to(house.accounts, "bob", PASSWORD)).username == "bob"
    assert [found.value for found in await house.privacy.show("bob")] == ["bob"]


async def verified(pool: asyncpg.Pool, *anchors: Checkpoint) -> Checkpoint:
    """The log verifies from its rows alone, and against what was seen of it before; what is seen of it now."""
    verifier = Verifier(PostgresAuditedLog(pool, Codec()), PostgresTree(pool), Codec(), keys=())
    report = await verifier.verify(anchors=anchors)
    assert report.problems == ()
    return Checkpoint(origin=report.origin, size=report.last, root=bytes.fromhex(report.root))


async def test_an_erased_persons_stream_still_folds(house: House) -> None:
    subject = await house.account()
    before = await fold_stream(house.log, AccountDecider(), StreamId(subject))
    await house.privacy.erase("ann", "asked for it")

    assert await fold_stream(house.log, AccountDecider(), StreamId(subject)) == before


async def test_the_name_of_an_erased_person_is_free_for_another(postgres_house: House) -> None:
    house = postgres_house
    first = await house.accounts.create("ann", PASSWORD, "viewer")
    await house.privacy.erase("ann", "asked for it")
    second = await house.accounts.create("ann", PASSWORD, "admin")

    assert second != first
    assert (await sign_in_to(house.accounts, "ann", PASSWORD)).user_id == second
    assert [found.value for found in await house.privacy.show(f"user-{first}")] == [ERASED]
    assert [found.value for found in await house.privacy.show("ann")] == ["ann"]


async def test_after_the_last_account_is_erased_an_administrator_is_made_again(house: House) -> None:
    await house.accounts.ensure_admin()
    await house.privacy.erase("admin", "moved away")

    password = await house.accounts.ensure_admin()
    assert password is not None
    assert (await sign_in_to(house.accounts, "admin", password)).role == "admin"


async def test_a_person_is_erased_once_however_often_and_for_whatever_reason_it_is_asked(house: House) -> None:
    subject = await house.account()
    for reason in ("asked for it", "asked for it", "asked again"):
        await house.privacy.erase(subject, reason)

    assert await house.erasures() == [SubjectErased(subject=subject, reason="asked for it")]
    assert await house.is_erased()


async def test_of_several_operators_at_once_one_fact_remains(postgres_house: House) -> None:
    subject = await postgres_house.account()
    await asyncio.gather(*(postgres_house.privacy.erase(subject, f"reason {number}") for number in range(4)))

    assert len(await postgres_house.erasures()) == 1
    assert await postgres_house.is_erased()


async def test_a_name_that_an_older_program_recorded_is_pointed_out_because_it_stays(house: House) -> None:
    await record(house.log, user_stream(ANN), UserCreated(username="ann", role="viewer"), SignInSucceeded())
    await house.credential()
    assert await house.privacy.show("ann") == [PersonalValue(1, USERNAME_FIELD, "ann", plain=True)]

    erasure = await house.privacy.erase("ann", "asked for it")

    assert erasure.plain_positions == (1,)
    assert await house.credentials.of(ANN) is None


async def test_a_person_whose_creation_died_before_its_fact_is_erased_all_the_same(house: House) -> None:
    await house.credential()
    await house.privacy.erase("ann", "asked for it")

    assert await house.credentials.of(ANN) is None
    assert await house.erasures() == [SubjectErased(subject="user-aa01", reason="asked for it")]


@pytest.mark.parametrize("user", ["bob", "user-bob", "", "no such name", "ANN ", "user-"])
async def test_nobody_is_erased_for_a_name_or_id_that_is_no_ones(house: House, user: str) -> None:
    await house.account()
    for ask in (house.privacy.show(user), house.privacy.erase(user, "asked for it")):
        with pytest.raises(UnknownUser):
            await ask
    assert await house.erasures() == []
    assert not await house.is_erased()


@pytest.mark.parametrize("name", [str(ANN), f"user-{ANN}"])
async def test_an_account_that_is_named_like_anothers_id_gets_neither_erased(house: House, name: str) -> None:
    await house.account()
    await house.account(UserId("bb02"), name)

    with pytest.raises(AmbiguousUser, match=r"user-bb02.*user-aa01"):
        await house.privacy.erase(name, "asked for it")
    assert await house.erasures() == []
    await house.privacy.erase("user-bb02", "asked for it")
    assert await house.is_erased(UserId("bb02"))
    assert not await house.is_erased()


async def test_a_value_that_was_tampered_with_is_shown_as_such(house: House) -> None:
    sealed = await house.keys.seal(subject_of(ANN), "another field", "ann")
    created = UserCreated(username="", role="viewer", sealed_username=sealed)
    await record(house.log, user_stream(ANN), created)

    assert [found.value for found in await house.privacy.show(f"user-{ANN}")] == [None]


class Killed(BaseException):
    """The process ends here."""


class Heart:
    """Beats before and after each thing that an erasure changes, and stops at the given beat."""

    def __init__(self, beats: int) -> None:
        self._beats = beats

    async def beat(self, number: int = 0, events: Sequence[NewEvent] = ()) -> None:
        """One beat more."""
        del number, events
        self._beats -= 1
        if self._beats == 0:
            raise Killed


class MortalCredentials(MemoryCredentials):
    """Credentials of a process that may be killed."""

    heart = Heart(0)

    async def remove(self, user_id: UserId) -> None:
        """The inner removal between two beats."""
        await self.heart.beat()
        await super().remove(user_id)
        await self.heart.beat()


class MortalKeys(MemoryKeyTable):
    """Keys of a process that may be killed."""

    heart = Heart(0)

    async def destroy(self, subject: SubjectId, *, at: datetime) -> None:
        """The inner destruction between two beats."""
        await self.heart.beat()
        await super().destroy(subject, at=at)
        await self.heart.beat()


@pytest.mark.parametrize("beat", range(1, 7))
async def test_an_erasure_killed_at_any_moment_is_seen_through_by_the_next_process(beat: int) -> None:
    """Before the fact is appended nothing has happened; from then on it will."""
    credentials, table = MortalCredentials(), MortalKeys()
    house = House(MemoryEventLog(Codec()), credentials, table)
    await house.account()
    await house.account(UserId("bb02"), "bob")
    heart = credentials.heart = table.heart = Heart(beat)
    mortal = house.over(HookedLog(house.log, before=heart.beat, after=heart.beat))
    with pytest.raises(Killed):
        await mortal.privacy.erase("ann", "asked for it")
    credentials.heart = table.heart = Heart(0)

    await house.privacy.finish()

    assert await house.is_erased() == (beat > 1)
    assert len(await house.erasures()) == (beat > 1)
    assert not await house.is_erased(UserId("bb02"))


async def test_an_erasure_whose_append_did_not_arrive_did_not_happen(house: House) -> None:
    await house.account()
    cut_off = house.over(failing_log(house.log, refused=[1]))
    with pytest.raises(LogUnavailable):
        await cut_off.privacy.erase("ann", "asked for it")

    assert not await house.is_erased()
    await house.privacy.erase("ann", "asked for it")
    assert await house.is_erased()


async def test_an_erasure_whose_answer_was_lost_is_done_by_asking_again(house: House) -> None:
    await house.account()
    cut_off = house.over(failing_log(house.log, lost=[1]))
    with pytest.raises(LogUnavailable):
        await cut_off.privacy.erase("ann", "asked for it")

    await cut_off.privacy.erase("ann", "asked for it")
    assert await house.is_erased()
    assert len(await house.erasures()) == 1


async def test_keys_and_credentials_restored_from_before_an_erasure_are_destroyed_again(house: House) -> None:
    subject = await house.account()
    await house.privacy.erase("ann", "asked for it")
    await house.privacy.finish()
    restored = House(house.log, MemoryCredentials(), MemoryKeyTable())
    await restored.keys.seal(subject, USERNAME_FIELD, "ann")
    await restored.credential()

    assert await restored.privacy.finish() == 1
    assert await restored.is_erased()


async def test_in_a_log_restored_to_before_what_was_carried_out_erasures_are_looked_for_from_the_start(
    house: House,
) -> None:
    subject = await house.account()
    await house.keys.note_erased_through(1_000_000)
    await record(house.log, SYSTEM_STREAM, SubjectErased(subject=subject, reason="asked for it"))

    await house.privacy.finish()
    assert await house.is_erased()
    assert await house.keys.erased_through() == await house.log.head()


async def test_what_was_looked_at_is_not_read_again(house: House) -> None:
    await house.account()
    await house.privacy.erase("ann", "asked for it")
    assert await house.privacy.finish() == 1
    assert await house.privacy.finish() == 0


async def test_erasures_that_are_archived_were_carried_out_long_ago(house: House) -> None:
    archived, kept = await house.account(), await house.account(UserId("bb02"), "bob")
    await record(house.log, SYSTEM_STREAM, SubjectErased(subject=archived, reason="asked for it"))
    floor = await house.log.head() + 1
    await record(house.log, SYSTEM_STREAM, SubjectErased(subject=kept, reason="asked for it"))

    class Archived(HookedLog):
        async def read_all(
            self,
            *,
            after_position: int = 0,
            limit: int = 1000,
            types: Sequence[str] | None = None,
            up_to: int | None = None,
        ) -> Sequence[RecordedEvent]:
            if after_position + 1 < floor:
                raise BelowFloor(after_position + 1, floor)
            return await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)

    assert await house.over(Archived(house.log)).privacy.finish() == 1
    assert await house.is_erased(UserId("bb02"))
    assert not await house.is_erased()


async def test_an_erasure_that_comes_after_the_last_look_is_found_the_next_time(house: House) -> None:
    subject = await house.account()

    class Overtaken(HookedLog):
        async def read_all(
            self,
            *,
            after_position: int = 0,
            limit: int = 1000,
            types: Sequence[str] | None = None,
            up_to: int | None = None,
        ) -> Sequence[RecordedEvent]:
            page = await super().read_all(after_position=after_position, limit=limit, types=types, up_to=up_to)
            await record(house.log, SYSTEM_STREAM, SubjectErased(subject=subject, reason="asked for it"))
            return page

    await house.over(Overtaken(house.log)).privacy.finish()
    assert not await house.is_erased()
    await house.privacy.finish()
    assert await house.is_erased()


async def test_whoever_erases_somebody_carries_out_what_others_left_undone(house: House) -> None:
    subject = await house.account()
    await house.account(UserId("bb02"), "bob")
    await record(house.log, SYSTEM_STREAM, SubjectErased(subject=subject, reason="asked for it"))

    await house.privacy.erase("bob", "asked for it")
    assert await house.is_erased()
    assert await house.is_erased(UserId("bb02"))


def test_every_encrypted_field_of_every_fact_is_known_as_personal() -> None:
    """A fact that gets one must be given a line in ``personal_fields``, or nobody is shown it."""
    encrypted = {
        (tag, field.name)
        for tag, kind in FACT_TYPES.items()
        for field in msgspec.structs.fields(kind)
        if EncryptedText in (field.type, *get_args(field.type))
    }
    assert encrypted == {("user.created", "sealed_username")}
    sealed = EncryptedText(subject=SubjectId("user-1"), key_id="k", nonce=bytes(12), ciphertext=bytes(16))
    fact = UserCreated(username="", role="viewer", sealed_username=sealed)
    assert list(personal_fields(fact)) == [(USERNAME_FIELD, sealed)]
    assert list(personal_fields(SignInSucceeded())) == []
