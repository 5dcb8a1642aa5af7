"""Who may use the installation: accounts, sessions, API tokens and the keys that access tokens are signed with."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from events.envelope import Metadata, NewEvent
from events.identifiers import new_event_id
from events.log import ANY_VERSION, EventLog
from events.security import SECURITY_STREAM, SigningKeyRotated
from oxbot.adapters.aes_gcm_answers import AesGcmAnswers
from oxbot.adapters.argon2_passwords import Argon2Passwords
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_allowances import PostgresAllowances, PostgresKnownAddresses
from oxbot.adapters.postgres_sessions import PostgresApiTokens, PostgresSessions
from oxbot.adapters.signing_key import KeyFiles, Retired, rotate
from oxbot.api.sign_in_limit import SignInLimit
from oxbot.api.tokens import KeySource, SigningKeys, signing_key
from oxbot.app.accounts import Accounts
from oxbot.app.api_tokens import ApiTokens
from oxbot.app.clock import SystemClock
from oxbot.app.revocations import Revocations
from oxbot.app.security_log import SecurityLog
from oxbot.app.sessions import ServerSecrets, Sessions
from oxbot.wiring.privacy import subject_keys
from oxbot.wiring.stores import Stores


class People(NamedTuple):
    """The use cases on those who use the installation."""

    accounts: Accounts
    sessions: Sessions
    api_tokens: ApiTokens
    revocations: Revocations
    security: SecurityLog
    sign_in_limit: SignInLimit
    answer_seals: AesGcmAnswers


def people(stores: Stores, home: Path) -> People:
    """The use cases over these stores. Raises ``KeyFileUnusable``."""
    now = SystemClock().now
    credentials, keys = PostgresCredentials(stores.pool), subject_keys(stores, home)
    passwords, secrets = Argon2Passwords(), server_secrets(home)
    accounts = Accounts(stores.log, credentials, keys, passwords, now=now)
    revocations = Revocations(stores.log, now=now)
    return People(
        accounts=accounts,
        sessions=Sessions(PostgresSessions(stores.pool), accounts, secrets=secrets, now=now),
        api_tokens=ApiTokens(PostgresApiTokens(stores.pool), accounts, revocations, now=now),
        revocations=revocations,
        security=SecurityLog(stores.log, now=now),
        sign_in_limit=SignInLimit(PostgresAllowances(stores.pool), PostgresKnownAddresses(stores.pool), now=now),
        answer_seals=AesGcmAnswers(passwords, secrets),
    )


def key_source(home: Path) -> KeySource:
    """The keys in ``home``, made if there are none. Raises ``KeyFileUnusable`` or ``WeakKey``."""
    files = KeyFiles(home)
    read = files.read()
    known = (read, _signing_keys(*read))

    def keys() -> SigningKeys:
        nonlocal known
        now_read = files.read()
        if now_read is not known[0] and now_read != known[0]:
            known = (now_read, _signing_keys(*now_read))
        return known[1]

    return keys


def server_secrets(home: Path) -> ServerSecrets:
    """The keys in ``home`` as they are now, the current one first; they are looked for when first asked for.

    They raise ``KeyFileUnusable`` or ``WeakKey``. What is derived from one bears a label of its own.
    """
    source = cache(lambda: key_source(home))

    def secrets() -> list[bytes]:
        keys = source()()
        return [keys.current.key, *(old.key for old in reversed(keys.retired))]

    return secrets


async def rotate_signing_key(log: EventLog, home: Path, *, at_once: bool) -> SigningKeyRotated:
    """Have access tokens signed with a new key from now on, and the log say so. Raises ``KeyFileUnusable``."""
    before = key_source(home)().current.kid
    rotate(home, at_once=at_once)
    fact = SigningKeyRotated(key_id=key_source(home)().current.kid, retired=before, at_once=at_once)
    event = NewEvent(
        event_id=new_event_id(), occurred_at=SystemClock().now(), fact=fact, metadata=Metadata(actor="cli")
    )
    await log.append(SECURITY_STREAM, [event], expected=ANY_VERSION)
    return fact


def _signing_keys(current: bytes, retired: Sequence[Retired]) -> SigningKeys:
    return SigningKeys(signing_key(current), tuple(signing_key(key, retired_at=at) for key, at in retired))
