"""Examines an installation: what is fine, what is not, and what to do about it, each in one line."""

import asyncio
import shutil
import ssl
import stat
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from urllib.error import URLError
from urllib.request import Request, urlopen

import asyncpg
import msgspec

from events.codec import Codec
from events.errors import LogUnavailable, OxbotError, StoreUnavailable
from oxbot.adapters.checkpoint_key import existing_key
from oxbot.adapters.database import Role, explained
from oxbot.adapters.migrations import check_schema
from oxbot.adapters.model_table import read_model_table
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.adapters.postgres_tree import PostgresCheckpoints
from oxbot.app.account_directory import AccountDirectory
from oxbot.app.alerts import open_alerts
from oxbot.app.clock import SystemClock
from oxbot.app.projections import Projections
from oxbot.app.venue_checks import VenueChecks
from oxbot.config import Settings
from oxbot.wiring.audit import prover, trusted_checkpoint
from oxbot.wiring.database import open_unmigrated
from oxbot.wiring.stores import Database, Stores, open_stores
from oxbot.wiring.venue_choice import moving_markets

FREE_BYTES_MIN = 1024**3
SKEW_SECONDS_MAX = 2.0
UNSEALED_SECONDS_MAX = 60.0
LAG_SECONDS_MAX = 60.0
ANSWER_SECONDS = 3.0

_LIMITS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
        AND coalesce(application_name, '') NOT LIKE 'oxbot%') AS others
"""
_MISSING_ROLES = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regrole(name) IS NULL ORDER BY name"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: whether it is fine, what was found, and what is to be done if it is not."""

    name: str
    ok: bool
    found: str
    advice: str = ""


async def examine(settings: Settings, environment: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Each finding as it is made; where the database cannot be reached, what is in it is left out."""
    yield home_finding(settings)
    yield disk_finding(settings)
    yield models_finding(settings, environment)
    try:
        async with open_unmigrated(settings) as database:
            async for finding in _of_database(settings, database):
                yield finding
    except (OxbotError, OSError) as error:
        yield Finding(name="database", ok=False, found=str(error), advice="start Postgres, or mend OXBOT_DATABASE_URL")
    yield await asyncio.to_thread(api_finding, settings)


def home_finding(settings: Settings) -> Finding:
    """Whether the home is ours alone: its keys sign tokens and checkpoints."""
    home = settings.home
    if not home.is_dir():
        return Finding(name="home", ok=False, found=f"{home} is not there", advice="oxbot up makes it")
    opened = [home.name] if home.stat().st_mode & _MAY_WRITE else []
    opened += [path.name for path in sorted(home.glob("*key*")) if path.stat().st_mode & _MAY_USE]
    if opened:
        told = f"others on this machine may use {', '.join(opened)} in {home}"
        return Finding(name="home", ok=False, found=told, advice=f"chmod -R go-rwx {home}")
    return Finding(name="home", ok=True, found=f"nobody else changes {home} or reads its keys")


_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MAY_USE = stat.S_IRWXG | stat.S_IRWXO


def disk_finding(settings: Settings, *, free_bytes_min: int = FREE_BYTES_MIN) -> Finding:
    """Whether there is room where the home is."""
    place = next(path for path in [settings.home, *settings.home.parents] if path.exists())
    free = shutil.disk_usage(place).free
    told = f"{free / 1024**3:.1f} GiB are free at {place}"
    if free < free_bytes_min:
        return Finding(name="disk", ok=False, found=told, advice="make room, or oxbot archive old ranges elsewhere")
    return Finding(name="disk", ok=True, found=told)


def models_finding(settings: Settings, environment: Mapping[str, str]) -> Finding:
    """Whether every model's key is there, without a look at what it is."""
    try:
        table = read_model_table(settings.models)
    except OxbotError as error:
        return Finding(name="models", ok=False, found=str(error), advice="mend the file that OXBOT_MODELS names")
    lacking = sorted(
        f"{model.name} lacks {model.key_env or model.key_file}"
        for model in table.models.values()
        if (model.key_env is not None and not environment.get(model.key_env))
        or (model.key_file is not None and not Path(model.key_file).is_file())
    )
    if lacking:
        return Finding(name="models", ok=False, found="; ".join(lacking), advice="give the key, or leave out the model")
    return Finding(name="models", ok=True, found=f"{len(table.models)} models, no key is missing")


async def _of_database(settings: Settings, database: Database) -> AsyncIterator[Finding]:
    try:
        async with open_stores(database, "oxbot_operator", name="doctor", connections=2) as stores:
            yield Finding(name="database", ok=True, found="answers, and has this program's schema")
            async for finding in _of_stores(settings, stores):
                yield finding
    except (LogUnavailable, StoreUnavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        told = str((None if isinstance(error, OxbotError) else explained(error)) or error)
        yield Finding(name="database", ok=False, found=told or type(error).__name__, advice="see Postgres's own log")


async def _of_stores(settings: Settings, stores: Stores) -> AsyncIterator[Finding]:
    pool = stores.pool
    async with pool.acquire() as connection:
        await check_schema(connection)
        yield await roles_finding(connection)
        yield await connections_finding(connection, settings)
        yield await clock_finding(connection)
    yield await seal_finding(settings, stores)
    yield await projections_finding(stores)
    failing = await PostgresFailingBots(pool).all()
    told = "; ".join(f"{bot_id}: {one.error}" for bot_id, one in list(failing.items())[:3])
    yield Finding(
        name="bots", ok=not failing, found=told or "none fails", advice="see the log of oxbot up" * bool(told)
    )
    clock = SystemClock()
    checks = VenueChecks(
        stores.candles, AccountDirectory(stores.log), moving=lambda: moving_markets(settings.home), now=clock.now
    )
    for check in (await checks.feeds(), await checks.accounts()):
        advice = "" if check.ok else "oxbot up must run; oxbot accounts show says more"
        yield Finding(name=check.name, ok=check.ok, found=check.detail, advice=advice)
    alerts = await open_alerts(stores.views)
    grave = [alert for alert in alerts if alert.level == "failure"]
    yield Finding(
        name="alerts",
        ok=not grave,
        found=f"{len(alerts)} go on, {len(grave)} of them failures",
        advice="oxbot alerts" if grave else "",
    )


async def roles_finding(connection: asyncpg.pool.PoolConnectionProxy) -> Finding:
    """Whether there is every role that a process acts as."""
    missing = [row["name"] for row in await connection.fetch(_MISSING_ROLES, list(get_args(Role)))]
    if missing:
        return Finding(name="roles", ok=False, found=f"missing: {', '.join(missing)}", advice="oxbot db migrate")
    return Finding(name="roles", ok=True, found=f"all {len(get_args(Role))} are there")


async def connections_finding(connection: asyncpg.pool.PoolConnectionProxy, settings: Settings) -> Finding:
    """Whether Postgres has room for all the connections that the installation may hold."""
    row = await connection.fetchrow(_LIMITS)
    room = row["most"] - row["others"] if row else 0
    told = f"room for {room} connections, OXBOT_CONNECTIONS_MAX is {settings.connections_max}"
    advice = "raise max_connections of Postgres, or lower OXBOT_CONNECTIONS_MAX"
    ok = room >= settings.connections_max
    return Finding(name="connections", ok=ok, found=told, advice="" if ok else advice)


async def clock_finding(
    connection: asyncpg.pool.PoolConnectionProxy, *, skew_seconds_max: float = SKEW_SECONDS_MAX
) -> Finding:
    """Whether this machine's clock and the database's agree, as far as the way there and back lets one tell."""
    begun, asked = time.monotonic(), datetime.now(UTC)
    there: datetime = await connection.fetchval("SELECT clock_timestamp()")
    way = time.monotonic() - begun
    skew = abs((there - asked).total_seconds() - way / 2)
    ok = skew <= skew_seconds_max + way / 2
    advice = "" if ok else "let both machines keep time by NTP"
    return Finding(name="clock", ok=ok, found=f"{skew:.3f} s from the database's", advice=advice)


async def seal_finding(settings: Settings, stores: Stores) -> Finding:
    """Whether the log's newest checkpoint is of our key, proves what it should, and is not too old."""
    checkpoints = PostgresCheckpoints(stores.pool, Codec())
    head, newest = await stores.log.head(), (await checkpoints.tail()).newest
    if newest is None:
        ok = head == 0
        return Finding(
            name="log", ok=ok, found=f"position {head}, no checkpoint", advice="" if ok else "oxbot up must seal it"
        )
    key = existing_key(settings.home, await checkpoints.log_id())
    if key is None:
        return Finding(
            name="log", ok=False, found="the key that signs checkpoints is not in the home", advice="restore the home"
        )
    try:
        trusted_checkpoint(newest.fact.note, [key.verifier])
        await prover(stores, settings.archive).prove(newest.fact.tree_size, note=newest.fact.note)
    except OxbotError as error:
        return Finding(name="log", ok=False, found=str(error), advice="oxbot audit verify tells where")
    first = await stores.log.read_all(after_position=newest.fact.tree_size + 1, limit=1)
    age = (datetime.now(UTC) - first[0].recorded_at).total_seconds() if first else 0.0
    told = f"position {head}, sealed up to {newest.fact.tree_size}, the oldest unsealed event is {age:.0f} s old"
    ok = age <= UNSEALED_SECONDS_MAX + settings.seal_interval_seconds
    return Finding(name="log", ok=ok, found=told, advice="" if ok else "oxbot up must run to seal it")


async def projections_finding(stores: Stores) -> Finding:
    """Whether every projection keeps up."""
    statuses = await Projections(stores.log, stores.views).statuses()
    ill = [
        f"{one.name} {one.state.replace('_', ' ')}, {one.lag_events} events behind"
        for one in statuses
        if one.state in ("stopped", "ahead") or one.serving.lag_seconds > LAG_SECONDS_MAX
    ]
    if ill:
        return Finding(name="projections", ok=False, found="; ".join(ill), advice="oxbot projections status")
    return Finding(name="projections", ok=True, found=f"all {len(statuses)} keep up")


def api_finding(settings: Settings) -> Finding:
    """Whether the API answers where the settings say, and over TLS where they say so."""
    tls = settings.api_tls_cert is not None
    host = "127.0.0.1" if settings.api_host in ("0.0.0.0", "::") else settings.api_host  # noqa: S104 - not listened on
    address = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{settings.api_port}/healthz"
    try:
        context = ssl.create_default_context(cafile=settings.api_tls_cert) if tls else None
        with urlopen(Request(address), timeout=ANSWER_SECONDS, context=context) as response:  # noqa: S310 - ours
            status = response.status
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Finding(name="api", ok=False, found=f"{address}: {reason}", advice="oxbot up serves it")
    return Finding(name="api", ok=status == 200, found=f"{address} answers {status}")  # noqa: PLR2004
