"""Sealed credentials of venue accounts in Postgres, in a table of their own beside the log."""

import asyncpg

from events.identifiers import AccountName, VenueName
from oxbot.adapters.aes_gcm_venue_credentials import SealedCredentials
from oxbot.adapters.database import connected

_PUT = """
INSERT INTO venue_accounts.credentials (account, venue, fingerprint, sealed, sealed_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account) DO UPDATE
SET venue = $2, fingerprint = $3, sealed = $4, sealed_by = $5, changed_at = clock_timestamp()
"""

_REPLACE = """
UPDATE venue_accounts.credentials SET venue = $3, fingerprint = $4, sealed = $5, sealed_by = $6
WHERE account = $1 AND sealed = $2
"""

_FIND = "SELECT account, venue, fingerprint, sealed, sealed_by FROM venue_accounts.credentials WHERE account = $1"
_FINGERPRINT = "SELECT fingerprint FROM venue_accounts.credentials WHERE account = $1"
_ACCOUNTS = "SELECT account FROM venue_accounts.credentials ORDER BY account"
_REMOVE = "DELETE FROM venue_accounts.credentials WHERE account = $1"


class PostgresCredentialsTable:
    """A ``CredentialsTable`` over a pool of connections to a migrated database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def put(self, sealed: SealedCredentials) -> None:
        """See ``CredentialsTable.put``."""
        async with connected(self._pool) as connection:
            await connection.execute(
                _PUT, sealed.account, sealed.venue, sealed.fingerprint, sealed.sealed, sealed.sealed_by
            )

    async def replace(self, old: SealedCredentials, new: SealedCredentials) -> bool:
        """See ``CredentialsTable.replace``."""
        async with connected(self._pool) as connection:
            done = await connection.execute(
                _REPLACE, old.account, old.sealed, new.venue, new.fingerprint, new.sealed, new.sealed_by
            )
            return done == "UPDATE 1"

    async def find(self, account: AccountName) -> SealedCredentials | None:
        """See ``CredentialsTable.find``."""
        async with connected(self._pool) as connection:
            row = await connection.fetchrow(_FIND, account)
        if row is None:
            return None
        return SealedCredentials(
            account=AccountName(row["account"]),
            venue=VenueName(row["venue"]),
            fingerprint=row["fingerprint"],
            sealed=row["sealed"],
            sealed_by=row["sealed_by"],
        )

    async def fingerprint(self, account: AccountName) -> str | None:
        """See ``CredentialsTable.fingerprint``."""
        async with connected(self._pool) as connection:
            found: str | None = await connection.fetchval(_FINGERPRINT, account)
            return found

    async def accounts(self) -> list[AccountName]:
        """See ``CredentialsTable.accounts``."""
        async with connected(self._pool) as connection:
            return [AccountName(row["account"]) for row in await connection.fetch(_ACCOUNTS)]

    async def remove(self, account: AccountName) -> None:
        """See ``CredentialsTable.remove``."""
        async with connected(self._pool) as connection:
            await connection.execute(_REMOVE, account)
