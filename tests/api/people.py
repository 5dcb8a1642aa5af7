"""Who uses a stage: where its sessions, API tokens and allowances are kept, and how somebody signs in to it."""

from typing import NamedTuple

import asyncpg
import httpx
import msgspec

from events.user import Role
from oxbot.adapters.memory_accounts import MemoryCredentials
from oxbot.adapters.memory_sessions import MemoryAllowances, MemoryApiTokens, MemoryKnownAddresses, MemorySessions
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_allowances import PostgresAllowances, PostgresKnownAddresses
from oxbot.adapters.postgres_sessions import PostgresApiTokens, PostgresSessions
from oxbot.app.accounts import Accounts, Credential, CredentialStore
from oxbot.app.allowances import Allowances, KnownAddresses
from oxbot.app.api_tokens import ApiTokenStore
from oxbot.app.sessions import SessionStore
from oxbot.core.account import UserId

SESSIONS = "/api/v1/sessions"
REFRESH = f"{SESSIONS}/refresh"
COOKIE = "__Host-oxbot-refresh"
OURS = {"X-Oxbot-Refresh": "1"}
PASSWORD = "correct horse battery staple"  # noqa: S105


class PeopleStores(NamedTuple):
    """The stores of those who use an installation."""

    credentials: CredentialStore
    sessions: SessionStore
    api_tokens: ApiTokenStore
    allowances: Allowances
    known_addresses: KnownAddresses


def memory_people() -> PeopleStores:
    """Empty ones of this process alone."""
    credentials = MemoryCredentials()
    return PeopleStores(
        credentials, MemorySessions(), MemoryApiTokens(), MemoryAllowances(), MemoryKnownAddresses(credentials)
    )


def postgres_people(pool: asyncpg.Pool) -> PeopleStores:
    """Those of a database."""
    return PeopleStores(
        PostgresCredentials(pool),
        PostgresSessions(pool),
        PostgresApiTokens(pool),
        PostgresAllowances(pool),
        PostgresKnownAddresses(pool),
    )


class SignedInAs(NamedTuple):
    """What somebody got who signed in, with the refresh token in the body."""

    user_id: UserId
    access: str
    refresh: str
    session_id: str

    @property
    def bearer(self) -> dict[str, str]:
        """The header that the access token is sent in."""
        return bearer(self.access)


async def sign_in_to(accounts: Accounts, username: str, password: str) -> Credential:
    """Somebody signs in, without a session."""
    credential = await accounts.prove(username, password)
    await accounts.begin(credential)
    return credential


def bearer(token: str) -> dict[str, str]:
    """The header that a token is sent in."""
    return {"Authorization": f"Bearer {token}"}


async def arrive(client: httpx.AsyncClient, accounts: Accounts, name: str = "ann", role: Role = "trader") -> SignedInAs:
    """Somebody new who has just signed in."""
    user_id = await accounts.create(name, PASSWORD, role)
    return await come_in(client, user_id, name)


async def come_in(client: httpx.AsyncClient, user_id: UserId, name: str, password: str = PASSWORD) -> SignedInAs:
    """Somebody known signs in."""
    credentials = {"username": name, "password": password, "refresh": "body"}
    response = await client.post(SESSIONS, json=credentials)
    assert response.status_code == 201, response.text
    session = msgspec.json.decode(response.content, type=dict[str, object])
    return SignedInAs(user_id, str(session["access_token"]), str(session["refresh_token"]), str(session["session_id"]))


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """The answer to a refresh token in the body."""
    return await client.post(REFRESH, json={"refresh_token": token})
