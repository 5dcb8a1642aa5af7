"""Who may use the fleet: accounts, their sign-ins, and the first administrator."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from uuid_utils import uuid7

from events.errors import OxbotError
from events.log import EventLog
from events.user import USERNAME_FIELD, Role
from oxbot.app.account_book import AccountBook
from oxbot.app.failed_sign_ins import FailedSignIns
from oxbot.app.personal import SubjectGone, SubjectKeys, subject_of
from oxbot.core.account import (
    AccountRefused,
    CreateUser,
    InvalidUsername,
    RecordSignIn,
    Settle,
    UserId,
    canonical_username,
)

ADMIN = "admin"
FAILURE_SECONDS = 0.25
PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 256
DISTINCT_CHARACTERS_MIN = 5
NAME_LENGTH_TELLING = 3

REFUSED = "the username or the password is wrong"

_PASSWORD_BYTES = 18


class UsernameTaken(OxbotError):
    """Another account has that name."""


class UnknownUser(OxbotError):
    """There is no account of that name."""


class WeakPassword(OxbotError):
    """A password that is too short or too simple to keep anybody out, or too long to hash."""


class LastAdmin(OxbotError):
    """Nobody could administer the installation any more; another administrator must come first."""


class SignInRefused(OxbotError):
    """The name or the password is wrong; the text does not say which."""


class PasswordsBusy(OxbotError):
    """More passwords wait to be checked than can be checked in time."""


class CredentialsUnavailable(OxbotError):
    """The store of credentials did not answer."""


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What an account signs in with and may do; the hash is the only trace of the password anywhere.

    ``generation`` counts its changes, ``password_generation`` is the one that set the password.
    """

    user_id: UserId
    username: str
    role: Role
    password_hash: str
    disabled: bool = False
    generation: int = 0
    password_generation: int = 0

    def __repr__(self) -> str:
        """The account without its hash, so that no log or traceback shows one."""
        return f"Credential(user_id={self.user_id!r}, username={self.username!r}, role={self.role!r})"


class CredentialStore(Protocol):
    """Credentials, outside the log so that they can be changed and destroyed.

    Every call may raise ``CredentialsUnavailable``.
    """

    async def add(self, credential: Credential, *, at: datetime) -> None:
        """Store a new account's. Raises ``UsernameTaken``."""
        ...

    async def add_first(self, credential: Credential, *, at: datetime) -> bool:
        """Store it only if the store is empty, whoever else tries at the same time; answer whether it was."""
        ...

    async def named(self, username: str) -> Credential | None:
        """The credential of the account of this canonical name."""
        ...

    async def of(self, user_id: UserId) -> Credential | None:
        """The credential of the account of this id."""
        ...

    async def all(self) -> Sequence[Credential]:
        """Every account's, in order of name."""
        ...

    async def change_hash(self, user_id: UserId, password_hash: str, *, at: datetime) -> Credential | None:
        """Put another hash in place of the account's: the credential as it is then, None if there is none."""
        ...

    async def change_standing(
        self, user_id: UserId, *, role: Role | None = None, disabled: bool | None = None, at: datetime
    ) -> Credential | None:
        """Give the account this role, or disable or enable it: the credential as it is then, None if there is none.

        Raises ``LastAdmin``, whoever else tries at the same time, rather than leave no administrator who is enabled.
        """
        ...

    async def remove(self, user_id: UserId) -> None:
        """Destroy the account's, so that nobody signs in with it and its name is free; again changes nothing."""
        ...


class Passwords(Protocol):
    """Hashes and checks passwords slowly, without holding up the event loop. Raises ``PasswordsBusy``."""

    async def hash(self, password: str) -> str:
        """The password's salted hash."""
        ...

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the hash is the password's; None takes as long as any other and is nobody's."""
        ...


class Accounts:
    """Use cases on accounts. Safe from any number of processes at once.

    A credential is stored or changed before the facts of it, because its row is what keeps names unique and one
    administrator left; whoever meets it next settles what died between the two, so that nobody acts without the facts.

    Names are looked up in the credentials, and the log holds them only sealed: signing in works without the keys of
    people, even where the file that wraps them was lost. Once a person is erased the credential is gone too.
    """

    def __init__(
        self,
        log: EventLog,
        credentials: CredentialStore,
        keys: SubjectKeys,
        passwords: Passwords,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self.book = AccountBook(log, now=now)
        self._credentials = credentials
        self._keys = keys
        self._passwords = passwords
        self._now = now
        self._failed = FailedSignIns()

    async def ensure_admin(self) -> str | None:
        """Create the first account if there is none, and answer its generated password, once and to one caller only."""
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        credential = await self._credential(ADMIN, password, "admin")
        if not await self._credentials.add_first(credential, at=self._now()):
            return None
        await self.settle(credential)
        return password

    async def create(
        self, username: str, password: str, role: Role, *, by: str = "", deed: UUID | None = None
    ) -> UserId:
        """A new account. Raises ``InvalidUsername``, ``WeakPassword`` or ``UsernameTaken``.

        It is named after the ``deed`` that it is made by: where that is done again, it is found and completed.
        """
        name = canonical_username(username)
        check_password(password, name)
        made = None if deed is None else await self.find(UserId(deed.hex))
        credential = made or await self._credential(name, password, role, deed=deed)
        if made is None:
            await self._credentials.add(credential, at=self._now())
        await self.settle(credential, by=by)
        return credential.user_id

    async def change_password(self, username: str, password: str, *, by: str = "") -> None:
        """Set another password, which ends all sessions. Raises ``UnknownUser`` or ``WeakPassword``."""
        credential = await self.named(username)
        if credential is None:
            raise UnknownUser(f"there is no account {username!r}")
        await self._set_password(credential, password, by=by)

    async def set_password(self, user_id: UserId, password: str, *, by: str = "") -> None:
        """Set the password of the account of this id. Raises ``UnknownUser`` or ``WeakPassword``."""
        await self._set_password(await self.get(user_id), password, by=by)

    async def change_own_password(self, user_id: UserId, old: str, new: str, *, by: str = "") -> None:
        """Set another password, given the one in force. Raises ``SignInRefused`` or ``WeakPassword``."""
        credential = await self.get(user_id)
        if not await self._passwords.verify(credential.password_hash, old):
            await self._record_failed(user_id)
            raise SignInRefused("the old password is wrong")
        await self._set_password(credential, new, by=by)

    async def change_standing(
        self, user_id: UserId, *, role: Role | None = None, disabled: bool | None = None, by: str = ""
    ) -> Credential:
        """Give an account another role, or disable or enable it. Raises ``UnknownUser`` or ``LastAdmin``."""
        changed = await self._credentials.change_standing(user_id, role=role, disabled=disabled, at=self._now())
        if changed is None or not await self.settle(changed, by=by):
            raise UnknownUser("there is no such account")
        return changed

    async def prove(self, username: str, password: str) -> Credential:
        """The account that the name and password are of, which may sign in.

        Raises ``SignInRefused`` with one text, and after the same time, for a wrong password, an unknown name and a
        disabled account; ``PasswordsBusy``; or what the log or the credentials raise when they do not answer.
        """
        started = asyncio.get_running_loop().time()
        credential = await self.named(username)
        given_hash = credential.password_hash if credential else None
        succeeded = await self._passwords.verify(given_hash, password)
        if credential is not None and await self.settle(credential):
            if not succeeded:
                await self._record_failed(credential.user_id)
            elif not credential.disabled:
                return credential
        await _wait_out(started)
        raise SignInRefused(REFUSED)

    async def begin(self, credential: Credential, *, session_id: str = "") -> None:
        """Have the log say that whoever proved to be of this account has signed in, and this session begun.

        Raises ``SignInRefused`` if the account was disabled, or its password changed, since then.
        """
        user_id, untold = credential.user_id, self._failed.take(credential.user_id)
        if untold:
            await self.book.record(user_id, RecordSignIn(succeeded=False, attempts=untold))
        try:
            await self.book.record(user_id, RecordSignIn(True, session_id, credential.password_generation))  # noqa: FBT003
        except AccountRefused as refused:
            raise SignInRefused(REFUSED) from refused

    async def find(self, user_id: UserId) -> Credential | None:
        """The account of this id, or None."""
        return await self._credentials.of(user_id)

    async def get(self, user_id: UserId) -> Credential:
        """The account of this id, all that was changed of it in the log. Raises ``UnknownUser``."""
        credential = await self._credentials.of(user_id)
        if credential is None or not await self.settle(credential):
            raise UnknownUser("there is no such account")
        return credential

    async def named(self, username: str) -> Credential | None:
        """The account of this name, or None."""
        try:
            return await self._credentials.named(canonical_username(username))
        except InvalidUsername:
            return None

    async def all(self) -> Sequence[Credential]:
        """Every account, in order of name."""
        return await self._credentials.all()

    async def settle(self, credential: Credential, *, by: str = "") -> bool:
        """Have the log say what the credential does; False if the person was erased since it was read."""
        user_id = credential.user_id
        state = (await self.book.known(user_id)).state
        if state.role is None:
            try:
                sealed = await self._keys.seal(subject_of(user_id), USERNAME_FIELD, credential.username)
            except SubjectGone:
                return False
            created = CreateUser(sealed_username=sealed, role=credential.role)
            state = (await self.book.record(user_id, created, by=by)).state
        if credential.generation > state.generation:
            await self.book.record(user_id, _settling(credential), by=by)
        return True

    async def tell_failures(self, *, all_of_them: bool = False) -> None:
        """Have the log hold the wrong passwords that were counted a while ago, or all of them."""
        for user_id, attempts in self._failed.due(all_of_them=all_of_them).items():
            with suppress(AccountRefused):
                await self.book.record(user_id, RecordSignIn(succeeded=False, attempts=attempts))

    async def _record_failed(self, user_id: UserId) -> None:
        attempts = self._failed.count(user_id)
        if attempts:
            await self.book.record(user_id, RecordSignIn(succeeded=False, attempts=attempts))

    async def _credential(self, username: str, password: str, role: Role, *, deed: UUID | None = None) -> Credential:
        password_hash = await self._passwords.hash(password)
        user_id = UserId((deed or uuid7()).hex)
        return Credential(user_id=user_id, username=username, role=role, password_hash=password_hash)

    async def _set_password(self, credential: Credential, password: str, *, by: str) -> None:
        check_password(password, credential.username)
        password_hash = await self._passwords.hash(password)
        changed = await self._credentials.change_hash(credential.user_id, password_hash, at=self._now())
        if changed is None or not await self.settle(changed, by=by):
            raise UnknownUser(f"there is no account {credential.username!r}")


def check_password(password: str, username: str) -> None:
    """Raises ``WeakPassword``."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise WeakPassword(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
    if len(set(password)) < DISTINCT_CHARACTERS_MIN:
        raise WeakPassword(f"a password has at least {DISTINCT_CHARACTERS_MIN} different characters")
    if len(username) >= NAME_LENGTH_TELLING and username in password.lower():
        raise WeakPassword("a password does not hold the name of its account")


def _settling(credential: Credential) -> Settle:
    return Settle(
        role=credential.role,
        disabled=credential.disabled,
        generation=credential.generation,
        password_generation=credential.password_generation,
    )


async def _wait_out(started: float) -> None:
    """End at a whole multiple of ``FAILURE_SECONDS`` after the start, so that what was done until now does not show."""
    elapsed = asyncio.get_running_loop().time() - started
    await asyncio.sleep(FAILURE_SECONDS - elapsed % FAILURE_SECONDS)
