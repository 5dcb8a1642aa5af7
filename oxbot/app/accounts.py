"""Who may use the fleet: accounts, their sign-ins, and the first administrator."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec
from uuid_utils import uuid7

from events.errors import OxbotError
from events.log import EventLog
from events.user import USERNAME_FIELD, Role
from oxbot.app.handle import Folded, fold_stream, handle
from oxbot.app.personal import SubjectGone, SubjectKeys, subject_of
from oxbot.core.account import (
    AccountCommand,
    AccountDecider,
    AccountState,
    ChangeCredential,
    CreateUser,
    InvalidUsername,
    RecordSignIn,
    UserId,
    canonical_username,
    user_stream,
)

ADMIN = "admin"
FAILURE_SECONDS = 0.25
PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 256
FOLDED_MAX = 1000

_PASSWORD_BYTES = 18


class UsernameTaken(OxbotError):
    """Another account has that name."""


class UnknownUser(OxbotError):
    """There is no account of that name."""


class WeakPassword(OxbotError):
    """A password that is too short to keep anybody out, or too long to hash."""


class SignInRefused(OxbotError):
    """The name or the password is wrong; the text does not say which."""


class PasswordsBusy(OxbotError):
    """More passwords wait to be checked than can be checked in time."""


class CredentialsUnavailable(OxbotError):
    """The store of credentials did not answer."""


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What an account signs in with; the hash is the only trace of the password anywhere."""

    user_id: UserId
    username: str
    role: Role
    password_hash: str

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

    async def change_hash(self, user_id: UserId, password_hash: str, *, at: datetime) -> None:
        """Put another hash in place of the account's."""
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

    A new account's row is stored before its ``UserCreated``, because the row is what keeps names unique; whoever signs
    in first completes a creation that died between the two, so that no account acts without its fact.

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
        self._log = log
        self._credentials = credentials
        self._keys = keys
        self._passwords = passwords
        self._now = now
        self._decider = AccountDecider()
        self._folded: dict[UserId, Folded[AccountState]] = {}

    async def ensure_admin(self) -> str | None:
        """Create the first account if there is none, and answer its generated password, once and to one caller only."""
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        credential = await self._credential(ADMIN, password, "admin")
        if not await self._credentials.add_first(credential, at=self._now()):
            return None
        await self._complete(credential)
        return password

    async def create(self, username: str, password: str, role: Role) -> UserId:
        """A new account. Raises ``InvalidUsername``, ``WeakPassword`` or ``UsernameTaken``."""
        name = canonical_username(username)
        _check_password(password)
        credential = await self._credential(name, password, role)
        await self._credentials.add(credential, at=self._now())
        await self._complete(credential)
        return credential.user_id

    async def change_password(self, username: str, password: str) -> None:
        """Set another password. Raises ``UnknownUser`` or ``WeakPassword``."""
        credential = await self._find(username)
        if credential is None:
            raise UnknownUser(f"there is no account {username!r}")
        _check_password(password)
        password_hash = await self._passwords.hash(password)
        if not await self._exists(credential):
            raise UnknownUser(f"there is no account {username!r}")
        await self._record(credential.user_id, ChangeCredential())
        await self._credentials.change_hash(credential.user_id, password_hash, at=self._now())

    async def sign_in(self, username: str, password: str) -> Credential:
        """The account that the name and password are of, once the sign-in is a fact.

        Raises ``SignInRefused`` with one text, and after the same time, for a wrong password and an unknown name;
        ``PasswordsBusy``; or what the log or the credentials raise when they do not answer.
        """
        started = asyncio.get_running_loop().time()
        credential = await self._find(username)
        given_hash = credential.password_hash if credential else None
        succeeded = await self._passwords.verify(given_hash, password)
        if credential is not None and await self._exists(credential):
            await self._record(credential.user_id, RecordSignIn(succeeded))
            if succeeded:
                return credential
        await _wait_out(started)
        raise SignInRefused("the username or the password is wrong")

    async def find(self, user_id: UserId) -> Credential | None:
        """The account of this id, or None."""
        return await self._credentials.of(user_id)

    async def _credential(self, username: str, password: str, role: Role) -> Credential:
        password_hash = await self._passwords.hash(password)
        return Credential(user_id=UserId(uuid7().hex), username=username, role=role, password_hash=password_hash)

    async def _find(self, username: str) -> Credential | None:
        try:
            return await self._credentials.named(canonical_username(username))
        except InvalidUsername:
            return None

    async def _exists(self, credential: Credential) -> bool:
        """Complete its creation; False if the person was erased since the credential was read."""
        try:
            await self._complete(credential)
        except SubjectGone:
            return False
        return True

    async def _complete(self, credential: Credential) -> None:
        user_id = credential.user_id
        if user_id not in self._folded:
            self._keep(user_id, await fold_stream(self._log, self._decider, user_stream(user_id)))
        if self._folded[user_id].state.role is None:
            sealed = await self._keys.seal(subject_of(user_id), USERNAME_FIELD, credential.username)
            await self._record(user_id, CreateUser(sealed_username=sealed, role=credential.role))

    async def _record(self, user_id: UserId, command: AccountCommand) -> None:
        known = self._folded.get(user_id)
        folded = await handle(self._log, self._decider, user_stream(user_id), command, at=self._now(), known=known)
        self._keep(user_id, folded)

    def _keep(self, user_id: UserId, folded: Folded[AccountState]) -> None:
        if len(self._folded) >= FOLDED_MAX:
            self._folded.clear()
        self._folded[user_id] = folded


def _check_password(password: str) -> None:
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise WeakPassword(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")


async def _wait_out(started: float) -> None:
    """End at a whole multiple of ``FAILURE_SECONDS`` after the start, so that what was done until now does not show."""
    elapsed = asyncio.get_running_loop().time() - started
    await asyncio.sleep(FAILURE_SECONDS - elapsed % FAILURE_SECONDS)
