"""Sealed credentials of venue accounts in memory: what tests use, under the same contract as Postgres."""

from events.identifiers import AccountName
from oxbot.adapters.aes_gcm_venue_credentials import SealedCredentials


class MemoryCredentialsTable:
    """A ``CredentialsTable`` that forgets everything when its process ends."""

    def __init__(self) -> None:
        self._rows: dict[AccountName, SealedCredentials] = {}

    async def put(self, sealed: SealedCredentials) -> None:
        """See ``CredentialsTable.put``."""
        self._rows[sealed.account] = sealed

    async def replace(self, old: SealedCredentials, new: SealedCredentials) -> bool:
        """See ``CredentialsTable.replace``."""
        if self._rows.get(old.account) != old:
            return False
        self._rows[old.account] = new
        return True

    async def find(self, account: AccountName) -> SealedCredentials | None:
        """See ``CredentialsTable.find``."""
        return self._rows.get(account)

    async def fingerprint(self, account: AccountName) -> str | None:
        """See ``CredentialsTable.fingerprint``."""
        found = self._rows.get(account)
        return None if found is None else found.fingerprint

    async def accounts(self) -> list[AccountName]:
        """See ``CredentialsTable.accounts``."""
        return sorted(self._rows)

    async def remove(self, account: AccountName) -> None:
        """See ``CredentialsTable.remove``."""
        self._rows.pop(account, None)
