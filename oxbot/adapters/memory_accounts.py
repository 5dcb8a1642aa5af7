"""Credentials in memory: what tests use, under the same contract as Postgres."""

from datetime import datetime

import msgspec

from oxbot.app.accounts import Credential, UsernameTaken
from oxbot.core.account import UserId


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

    async def change_hash(self, user_id: UserId, password_hash: str, *, at: datetime) -> None:
        """Put another hash in place of the account's."""
        del at
        if user_id in self._by_id:
            self._by_id[user_id] = msgspec.structs.replace(self._by_id[user_id], password_hash=password_hash)

    async def remove(self, user_id: UserId) -> None:
        """Destroy the account's; again changes nothing."""
        self._by_id.pop(user_id, None)
