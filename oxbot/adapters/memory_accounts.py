"""Credentials in memory: what tests use, under the same contract as Postgres."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from events.user import Role
from oxbot.app.accounts import Credential, LastAdmin, UsernameTaken
from oxbot.core.account import UserId

LAST_ADMIN = "this is the last administrator who is enabled; there must be another first"


class MemoryCredentials:
    """A ``CredentialStore`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._by_id: dict[UserId, Credential] = {}

    async def add(self, credential: Credential, *, at: datetime) -> None:
        """Store a new account's. Raises ``UsernameTaken``."""
        del at
        if await self.named(credential.username) is not None:
            raise UsernameTaken(f"there is an account {credential.username} already")
        self._by_id[credential.user_id] = credential

    async def add_first(self, credential: Credential, *, at: datetime) -> bool:
        """Store it only if there is none."""
        if self._by_id:
            return False
        await self.add(credential, at=at)
        return True

    async def named(self, username: str) -> Credential | None:
        """The credential of the account of this canonical name."""
        return next((held for held in self._by_id.values() if held.username == username), None)

    async def of(self, user_id: UserId) -> Credential | None:
        """The credential of the account of this id."""
        return self._by_id.get(user_id)

    async def all(self) -> Sequence[Credential]:
        """Every account's, in order of name."""
        return sorted(self._by_id.values(), key=lambda held: held.username)

    async def change_hash(self, user_id: UserId, password_hash: str, *, at: datetime) -> Credential | None:
        """Put another hash in place of the account's."""
        del at
        held = self._by_id.get(user_id)
        if held is None:
            return None
        changed = msgspec.structs.replace(
            held,
            password_hash=password_hash,
            generation=held.generation + 1,
            password_generation=held.generation + 1,
        )
        self._by_id[user_id] = changed
        return changed

    async def change_standing(
        self, user_id: UserId, *, role: Role | None = None, disabled: bool | None = None, at: datetime
    ) -> Credential | None:
        """Give the account this role, or disable or enable it. Raises ``LastAdmin``."""
        del at
        held = self._by_id.get(user_id)
        if held is None:
            return None
        changed = msgspec.structs.replace(
            held,
            role=role or held.role,
            disabled=held.disabled if disabled is None else disabled,
            generation=held.generation + 1,
        )
        others = (other for other in self._by_id.values() if other.user_id != user_id)
        if _administers(held) and not _administers(changed) and not any(map(_administers, others)):
            raise LastAdmin(LAST_ADMIN)
        self._by_id[user_id] = changed
        return changed

    async def remove(self, user_id: UserId) -> None:
        """Destroy the account's; again changes nothing."""
        self._by_id.pop(user_id, None)


def _administers(credential: Credential) -> bool:
    return credential.role == "admin" and not credential.disabled
