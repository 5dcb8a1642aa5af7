"""What a person may ask for: to see what the log holds about them, and to be erased from it for good."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

import structlog

from events.envelope import Metadata, NewEvent
from events.errors import BelowFloor, EventIdReused
from events.identifiers import EventId
from events.log import ANY_VERSION, EventLog
from events.system import SYSTEM_STREAM, SubjectErased
from events.values import EncryptedText, SubjectId
from oxbot.app.accounts import CredentialStore, UnknownUser
from oxbot.app.personal import Erased, SealBroken, SubjectKeys, personal_fields, subject_of
from oxbot.core.account import USER_STREAM_PREFIX, InvalidUsername, UserId, canonical_username, user_stream

_ERASURES = UUID("3c5f3f5e-8f0b-4b7c-9a52-5d0c7d1f6a10")
"""The namespace of the ids of erasures: one per person, so that a person is erased once however often it is tried."""

_PAGE = 1000

logger = structlog.get_logger(__name__)


class AmbiguousUser(UnknownUser):
    """The text is one account's name and another's id."""


class PersonalValue(NamedTuple):
    """One personal field of one event; ``value`` is None where the stored bytes are not what was sealed."""

    position: int
    field: str
    value: str | Erased | None
    plain: bool


class Erasure(NamedTuple):
    """A person who is erased; ``plain_positions`` are older events that hold the name in plain text, for ever."""

    subject: SubjectId
    plain_positions: tuple[int, ...]


class Privacy:
    """Use cases on what is recorded about people. Safe from any number of processes at once.

    An erasure is a fact before anything is destroyed, so that it is never half-done for longer than until the next
    ``finish``: whoever starts the API, or is asked to erase anybody, carries out what the log says and a crash left
    undone. The credential goes first, so that nobody signs in as a person without a name. Restored from a backup, keys
    and credentials that the log says are erased are destroyed again in the same way.

    Its sessions and tokens go with the credential, and whoever follows the log refuses an access token that was issued
    before. The username is free for another account.
    """

    def __init__(
        self,
        log: EventLog,
        keys: SubjectKeys,
        credentials: CredentialStore,
        *,
        now: Callable[[], datetime],
        actor: str,
    ) -> None:
        self._log = log
        self._keys = keys
        self._credentials = credentials
        self._now = now
        self._metadata = Metadata(actor=actor)

    async def erase(self, user: str, reason: str) -> Erasure:
        """Erase the person of that account name or id; again sees to it that nothing was left.

        Raises ``UnknownUser``; ``LastAdmin`` where that would leave others without an administrator; or what the log or
        the stores raise when they do not answer: then try again.
        """
        return await self._erase(await self._find(user), reason)

    async def erase_account(self, user_id: UserId, reason: str) -> Erasure:
        """Erase the person of the account of this id, whoever has a name like it. Raises as ``erase``."""
        if await self._listed(user_id) is None:
            raise UnknownUser("there is no such account")
        return await self._erase(user_id, reason)

    async def finish(self) -> int:
        """Carry out the erasures in the log that were not yet; answers how many it looked at.

        Of positions that have left the database for an archive, those were carried out long ago.
        """
        head, position, found = await self._log.head(), await self._keys.erased_through(), 0
        if position > head:
            position = 0  # The log was restored to before; what it says since is not what was carried out.
        while page := await self._erasures_after(position):
            for fact in page.values():
                await self._carry_out(SubjectId(fact.subject))
            position, found = max(page), found + len(page)
        await self._keys.note_erased_through(head)
        return found

    async def show(self, user: str) -> Sequence[PersonalValue]:
        """Every personal field that the log holds of the account of that name or id. Raises ``UnknownUser``."""
        return await self._values(await self._find(user))

    async def _erase(self, user_id: UserId, reason: str) -> Erasure:
        if any(other.user_id != user_id for other in await self._credentials.all()):
            await self._credentials.change_standing(user_id, disabled=True, at=self._now())
        await self.finish()
        subject = subject_of(user_id)
        fact = SubjectErased(subject=subject, reason=reason)
        event_id = EventId(uuid5(_ERASURES, subject))
        event = NewEvent(event_id=event_id, occurred_at=self._now(), fact=fact, metadata=self._metadata)
        try:
            await self._log.append(SYSTEM_STREAM, [event], expected=ANY_VERSION)
        except EventIdReused:
            # Erased before, for another reason, which stands.
            logger.info("erased_before", subject=subject)
        await self._carry_out(subject)
        return Erasure(subject, tuple(found.position for found in await self._values(user_id) if found.plain))

    async def _find(self, user: str) -> UserId:
        named, listed = await self._named(user), await self._listed(UserId(user.removeprefix(USER_STREAM_PREFIX)))
        if named is not None and listed is not None and named != listed:
            raise AmbiguousUser(
                f"{user!r} is the name of {user_stream(named)} and the id of {user_stream(listed)}; give one of the two"
            )
        found = named or listed
        if found is None:
            raise UnknownUser(f"there is no account {user!r}")
        return found

    async def _named(self, user: str) -> UserId | None:
        try:
            credential = await self._credentials.named(canonical_username(user))
        except InvalidUsername:
            return None
        return credential.user_id if credential else None

    async def _listed(self, user_id: UserId) -> UserId | None:
        known = await self._credentials.of(user_id) or await self._log.read_stream(user_stream(user_id), limit=1)
        return user_id if known else None

    async def _erasures_after(self, position: int) -> dict[int, SubjectErased]:
        types = [str(SubjectErased.__struct_config__.tag)]
        try:
            page = await self._log.read_all(after_position=position, limit=_PAGE, types=types)
        except BelowFloor as below:
            page = await self._log.read_all(after_position=below.floor - 1, limit=_PAGE, types=types)
        return {event.position: event.fact for event in page if isinstance(event.fact, SubjectErased)}

    async def _carry_out(self, subject: SubjectId) -> None:
        await self._credentials.remove(UserId(subject.removeprefix(USER_STREAM_PREFIX)))
        await self._keys.destroy(subject, at=self._now())

    async def _values(self, user_id: UserId) -> Sequence[PersonalValue]:
        return [
            PersonalValue(event.position, field, await self._open(value, field), isinstance(value, str))
            for event in await self._log.read_stream(user_stream(user_id))
            for field, value in personal_fields(event.fact)
        ]

    async def _open(self, value: str | EncryptedText, field: str) -> str | Erased | None:
        if isinstance(value, str):
            return value
        try:
            return await self._keys.open(value, field)
        except SealBroken:
            return None
