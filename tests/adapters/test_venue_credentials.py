"""The credentials of venue accounts: kept, rotated, and shown to nobody but the execution."""

import base64
import io
import secrets
import traceback
from pathlib import Path

import asyncpg
import pytest
import structlog

from events.identifiers import AccountName, VenueName
from oxbot.adapters.aes_gcm_venue_credentials import (
    AesGcmVenueCredentials,
    CredentialsTable,
    CredentialsUnreadable,
    NoCredentials,
    SealedCredentials,
    VenueKeyUnusable,
    venue_key,
)
from oxbot.adapters.database import Role, open_pool
from oxbot.adapters.memory_venue_credentials import MemoryCredentialsTable
from oxbot.adapters.postgres_venue_credentials import PostgresCredentialsTable
from oxbot.adapters.redaction import redacted
from oxbot.adapters.venue_credentials import VenueCredentials
from oxbot.config import Secret

pytestmark = pytest.mark.anyio

MAIN, SIDE = AccountName("main"), AccountName("side")
OKX, BINANCE = VenueName("okx"), VenueName("binance")
PLANTED = ("planted-api-key-7f3a", "planted/secret+9c=", "planted pass&word")
CREDENTIALS = VenueCredentials(api_key=Secret(PLANTED[0]), secret=Secret(PLANTED[1]), password=Secret(PLANTED[2]))
NEWER = VenueCredentials(api_key=Secret("another-key"), secret=Secret("another-secret"))
KEY, NEXT_KEY = bytes(range(32)), bytes(32)


@pytest.fixture(params=["memory", "postgres"])
def table(request: pytest.FixtureRequest) -> CredentialsTable:
    """Each table in turn, empty."""
    if request.param == "memory":
        return MemoryCredentialsTable()
    return PostgresCredentialsTable(request.getfixturevalue("pool"))


@pytest.fixture
def kept(table: CredentialsTable) -> AesGcmVenueCredentials:
    """The credentials of an installation."""
    return AesGcmVenueCredentials(table, KEY)


async def test_what_was_stored_is_read_back_by_any_process_with_the_key(
    kept: AesGcmVenueCredentials, table: CredentialsTable
) -> None:
    assert await kept.put(MAIN, OKX, CREDENTIALS) == CREDENTIALS.fingerprint
    await kept.put(SIDE, BINANCE, NEWER)

    another = AesGcmVenueCredentials(table, KEY)
    assert await another.get(MAIN, OKX) == CREDENTIALS
    assert await another.get(SIDE, BINANCE) == NEWER
    assert await another.fingerprint(MAIN) == CREDENTIALS.fingerprint
    assert await table.accounts() == [MAIN, SIDE]


async def test_replaced_credentials_are_gone_and_removed_ones_are_not_there(kept: AesGcmVenueCredentials) -> None:
    await kept.put(MAIN, OKX, CREDENTIALS)
    await kept.put(MAIN, OKX, NEWER)
    assert (await kept.get(MAIN, OKX), await kept.fingerprint(MAIN)) == (NEWER, NEWER.fingerprint)

    await kept.remove(MAIN)
    await kept.remove(MAIN)
    assert await kept.fingerprint(MAIN) is None
    with pytest.raises(NoCredentials, match="main"):
        await kept.get(MAIN, OKX)


async def test_credentials_for_one_venue_are_none_for_another(kept: AesGcmVenueCredentials) -> None:
    await kept.put(MAIN, OKX, CREDENTIALS)
    with pytest.raises(NoCredentials, match="binance"):
        await kept.get(MAIN, BINANCE)


async def test_a_row_moved_to_another_account_or_named_as_another_does_not_open(
    kept: AesGcmVenueCredentials, table: CredentialsTable
) -> None:
    await kept.put(MAIN, OKX, CREDENTIALS)
    stored = await table.find(MAIN)
    assert stored is not None
    for changed in (
        _changed(stored, account=SIDE),
        _changed(stored, venue=BINANCE),
        _changed(stored, fingerprint="00000000"),
        _changed(stored, sealed=stored.sealed[:-1] + bytes([stored.sealed[-1] ^ 1])),
    ):
        await table.put(changed)
        with pytest.raises(CredentialsUnreadable, match="altered"):
            await kept.get(changed.account, changed.venue)


async def test_a_new_key_reads_what_the_old_one_sealed_and_after_rewrapping_needs_it_no_more(
    kept: AesGcmVenueCredentials, table: CredentialsTable
) -> None:
    await kept.put(MAIN, OKX, CREDENTIALS)
    await kept.put(SIDE, OKX, NEWER)
    rotating = AesGcmVenueCredentials(table, NEXT_KEY, older=(KEY,))
    assert await rotating.get(MAIN, OKX) == CREDENTIALS

    assert (await rotating.rewrap(), await rotating.rewrap()) == (2, 0)
    assert await AesGcmVenueCredentials(table, NEXT_KEY).get(SIDE, OKX) == NEWER
    with pytest.raises(CredentialsUnreadable, match="sealed under the key"):
        await kept.get(MAIN, OKX)


async def test_rewrapping_never_undoes_credentials_that_were_set_meanwhile(table: CredentialsTable) -> None:
    old = AesGcmVenueCredentials(table, KEY)
    await old.put(MAIN, OKX, CREDENTIALS)
    before = await table.find(MAIN)
    assert before is not None
    await old.put(MAIN, OKX, NEWER)

    assert not await table.replace(before, before)
    assert await old.get(MAIN, OKX) == NEWER


async def test_no_part_of_a_secret_and_not_its_length_is_in_what_is_stored(
    kept: AesGcmVenueCredentials, table: CredentialsTable
) -> None:
    await kept.put(MAIN, OKX, CREDENTIALS)
    await kept.put(SIDE, OKX, NEWER)
    long, short = await table.find(MAIN), await table.find(SIDE)
    assert long is not None
    assert short is not None
    assert not any(secret.encode() in long.sealed for secret in PLANTED)
    assert len(long.sealed) == len(short.sealed)


async def test_credentials_show_nothing_of_themselves_in_text_logs_or_tracebacks(kept: AesGcmVenueCredentials) -> None:
    written = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(written),
        processors=[structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer()],
    )
    await kept.put(MAIN, OKX, CREDENTIALS)
    try:
        await AesGcmVenueCredentials(MemoryCredentialsTable(), NEXT_KEY).get(MAIN, OKX)
    except NoCredentials:
        logger.exception("credentials_missing", credentials=CREDENTIALS, kept=kept)
        written.write(traceback.format_exc())
    written.write(f"{CREDENTIALS!r} {CREDENTIALS} {CREDENTIALS.secret} {kept!r} {kept} {CREDENTIALS.fingerprint}")

    shown = written.getvalue()
    assert "credentials_missing" in shown
    assert [secret for secret in PLANTED if secret in shown] == []


@pytest.mark.parametrize(
    "text",
    [
        f"okx POST https://x/api?apiKey={PLANTED[0]}&signature=abcdef0123456789",
        f"RequestHeaders: {{'OK-ACCESS-KEY': '{PLANTED[0]}', 'OK-ACCESS-PASSPHRASE': '{PLANTED[2]}'}}",
        f"body {base64.b64encode(PLANTED[1].encode()).decode()} and {PLANTED[1].encode().hex()}",
        "form secret=planted%2Fsecret%2B9c%3D&password=planted+pass%26word",
        f'json {{"secret":"{PLANTED[1]}", "sign": "MEUCIQD0abcdef"}}',
    ],
)
def test_redaction_takes_secrets_out_in_every_form_that_a_request_has(text: str) -> None:
    shown = redacted(text, PLANTED)
    forms = [*PLANTED, "planted", "MEUCIQD0abcdef", "abcdef0123456789", base64.b64encode(PLANTED[1].encode()).decode()]
    assert [form for form in (*forms, PLANTED[1].encode().hex()) if form in shown] == []
    assert "***" in shown


def test_the_key_is_the_given_one_or_a_file_of_its_owners(tmp_path: Path) -> None:
    given = base64.b64encode(NEXT_KEY).decode()
    assert venue_key(tmp_path, Secret(given)) == NEXT_KEY
    assert list(tmp_path.iterdir()) == []
    made = venue_key(tmp_path)
    assert (len(made), venue_key(tmp_path)) == (32, made)
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600]


@pytest.mark.parametrize("given", ["not base64!", base64.b64encode(b"short").decode()])
def test_a_malformed_key_is_refused_without_being_shown(tmp_path: Path, given: str) -> None:
    with pytest.raises(VenueKeyUnusable) as caught:
        venue_key(tmp_path, Secret(given))
    assert given not in str(caught.value)


RIGHTS = {
    "SELECT": {"execution"},
    "INSERT": {"api", "operator"},
    "UPDATE": {"api", "operator"},
    "DELETE": {"api", "operator"},
    "TRUNCATE": set(),
}
ROLES = ("host", "market", "execution", "projector", "api", "sealer", "archiver", "operator", "writer", "reader")


async def test_only_the_execution_reads_credentials_and_only_the_api_and_the_operator_set_them(
    pool: asyncpg.Pool,
) -> None:
    asked = "SELECT has_table_privilege($1, 'venue_accounts.credentials', $2)"
    found = {right: {role for role in ROLES if await pool.fetchval(asked, f"oxbot_{role}", right)} for right in RIGHTS}
    assert found == RIGHTS
    sealed = "SELECT has_column_privilege($1, 'venue_accounts.credentials', 'sealed', 'SELECT')"
    assert {role for role in ROLES if await pool.fetchval(sealed, f"oxbot_{role}")} == {"execution"}


@pytest.mark.parametrize("role", ["oxbot_api", "oxbot_operator"])
async def test_who_sets_credentials_can_name_them_and_not_read_them(database: str, role: Role) -> None:
    acting = await open_pool(database, size=1, application_name="tests", role=role)
    kept = AesGcmVenueCredentials(PostgresCredentialsTable(acting), secrets.token_bytes(32))
    await kept.put(MAIN, OKX, CREDENTIALS)
    await kept.put(MAIN, OKX, NEWER)
    assert await kept.fingerprint(MAIN) == NEWER.fingerprint
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await kept.get(MAIN, OKX)
    await kept.remove(MAIN)
    await acting.close()


async def test_the_execution_reads_and_rewraps_and_cannot_add_or_remove(database: str, pool: asyncpg.Pool) -> None:
    await AesGcmVenueCredentials(PostgresCredentialsTable(pool), KEY).put(MAIN, OKX, CREDENTIALS)
    acting = await open_pool(database, size=1, application_name="tests", role="oxbot_execution")
    kept = AesGcmVenueCredentials(PostgresCredentialsTable(acting), NEXT_KEY, older=(KEY,))
    assert await kept.rewrap() == 1
    assert await kept.get(MAIN, OKX) == CREDENTIALS
    for refused in (kept.put(SIDE, OKX, NEWER), kept.remove(MAIN)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await refused
    await acting.close()


def _changed(
    stored: SealedCredentials,
    *,
    account: AccountName | None = None,
    venue: VenueName | None = None,
    fingerprint: str | None = None,
    sealed: bytes | None = None,
) -> SealedCredentials:
    return SealedCredentials(
        account=account or stored.account,
        venue=venue or stored.venue,
        fingerprint=fingerprint or stored.fingerprint,
        sealed=sealed or stored.sealed,
        sealed_by=stored.sealed_by,
    )
