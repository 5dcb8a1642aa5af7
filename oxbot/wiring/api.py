"""A process that serves the API: views, commands, accounts and readiness over one pool."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypedDict

import msgspec
import uvicorn

from events.codec import Codec
from events.errors import LogUnavailable
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.adapters.postgres_event_counts import PostgresEventCounts
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.adapters.postgres_idempotency import PostgresIdempotency
from oxbot.adapters.postgres_pasts import PostgresPasts
from oxbot.adapters.postgres_readiness import PostgresReadiness
from oxbot.adapters.postgres_tree import PostgresCheckpoints
from oxbot.api.app import create_app, end_streams
from oxbot.api.options import ApiOptions
from oxbot.api.reads import Reads, ReadSources, reads_over
from oxbot.api.services import Services
from oxbot.api.tokens import Tokens
from oxbot.app.access import BotOwners
from oxbot.app.account_directory import AccountDirectory, AccountFailures
from oxbot.app.accounts import Accounts
from oxbot.app.arena import ArenaReader
from oxbot.app.bots import BotCommands
from oxbot.app.clock import SystemClock
from oxbot.app.equity import EquityReader, MarketTime
from oxbot.app.live_stream import LiveStream
from oxbot.app.models.known import ModelTable
from oxbot.app.past import BotHistory
from oxbot.app.projections import Projections
from oxbot.app.venue_checks import MovingMarket, VenueChecks
from oxbot.app.vitals import VitalReader, VitalSources
from oxbot.config import Secret, Settings
from oxbot.wiring.audit import prover
from oxbot.wiring.http_server import CannotListen, TlsFiles, address_of, http_server, listen
from oxbot.wiring.people import key_source, people
from oxbot.wiring.privacy import privacy
from oxbot.wiring.stores import Database, Stores, open_stores
from oxbot.wiring.strategies import usable_strategies
from oxbot.wiring.venue_accounts import account_reader, venue_accounts

__all__ = ["ApiPlan", "CannotListen", "exposure", "serve_api"]

CONNECTIONS = 4
LOG_SECONDS = 5.0


class ApiPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API listens and what it serves; ``announce`` is told the address, and the first password, once.

    Of ``models`` it needs only what their table says. ``moving``: the markets whose candles should come by the clock.
    Beyond this machine it is served with ``tls``, or where ``plain_http`` allows it without.
    """

    host: str
    port: int
    home: Path
    database: Database
    commands: Callable[[Stores], BotCommands]
    market_time: MarketTime
    announce: Callable[[str], None]
    venue_key: Secret | None = None
    models: ModelTable = ModelTable()
    options: ApiOptions = ApiOptions()
    tls: TlsFiles | None = None
    plain_http: bool = False
    moving: Callable[[], Sequence[MovingMarket]] = tuple


class Exposure(TypedDict):
    """The part of an ``ApiPlan`` that says to whom the API is open, and how."""

    options: ApiOptions
    tls: TlsFiles | None
    plain_http: bool


def exposure(settings: Settings) -> Exposure:
    """What the settings say of it."""
    options = ApiOptions(
        trusted_proxies=settings.api_trusted_proxies,
        allowed_origins=settings.api_allowed_origins,
        user_requests_per_second=settings.api_user_requests_per_second,
        address_requests_per_second=settings.api_address_requests_per_second,
    )
    tls = None
    if settings.api_tls_cert is not None and settings.api_tls_key is not None:
        tls = TlsFiles(settings.api_tls_cert, settings.api_tls_key)
    return Exposure(options=options, tls=tls, plain_http=settings.api_plain_http)


async def serve_api(plan: ApiPlan) -> None:
    """Serve until the process is told to stop. Raises ``CannotListen``, or what opening the stores raises."""
    tokens = Tokens(key_source(plan.home))
    listener = listen(plan.host, plan.port, plain=plan.plain_http or plan.tls is not None)
    plan.announce(f"the API listens on {address_of(listener, tls=plan.tls is not None)}")

    def open_services() -> AbstractAsyncContextManager[Services]:
        return _open_services(plan, tokens)

    app = create_app(open_services, plan.options)
    with listener:
        await _serve(http_server(app, tls=plan.tls, ending=partial(end_streams, app)), listener)


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until told to stop; if cancelled, end in order all the same, so that what was opened is closed."""
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await asyncio.wait([serving])
            raise


@asynccontextmanager
async def _open_services(plan: ApiPlan, tokens: Tokens) -> AsyncIterator[Services]:
    async with (
        open_stores(
            plan.database, "oxbot_api", name="api", connections=CONNECTIONS, deadline_seconds=LOG_SECONDS
        ) as stores,
        AsyncExitStack() as stack,
    ):
        erasing = privacy(stores, plan.home, actor="api")
        await erasing.finish()
        use = people(stores, plan.home)
        password = await use.accounts.ensure_admin()
        if password is not None:
            plan.announce(f"sign in as admin with the password {password} (shown this once)")
        projections = Projections(stores.log, stores.views)
        directory = AccountDirectory(stores.log)
        equity = EquityReader(stores.views, stores.candles, plan.market_time)
        await stack.enter_async_context(use.revocations.following(SystemClock()))
        stack.push_async_callback(_tell_failures, use.accounts)
        await stack.enter_async_context(
            use.security.kept(SystemClock(), [use.accounts.tell_failures, use.sessions.purge, use.sign_in_limit.purge])
        )
        reads = _reads(plan, stores)
        failing = AccountFailures(PostgresFailingBots(stores.pool), directory)
        reader = account_reader(stores, directory)
        vitals = VitalReader(
            VitalSources(
                log=stores.log,
                counts=PostgresEventCounts(stores.pool),
                views=stores.views,
                projections=projections,
                failing=failing,
                quality=reads.quality,
                accounts=reader,
            ),
            budget=plan.models.budgets.fleet.usd_per_day,
            now=SystemClock().now,
        )
        await vitals.begin()
        owners = BotOwners(stores.views, stores.log)
        stream = await stack.enter_async_context(LiveStream(stores.log, owners.of))
        yield Services(
            views=stores.views,
            reads=reads,
            owners=owners,
            projections=projections,
            bots=plan.commands(stores),
            strategies=usable_strategies(),
            failing=failing,
            equity=equity,
            arena=ArenaReader(stores.views, equity, plan.models),
            accounts=use.accounts,
            venue_accounts=venue_accounts(stores, plan.home, plan.venue_key, actor="api"),
            account_reader=reader,
            tokens=tokens,
            readiness=PostgresReadiness(stores.pool, projections, _venue_checks(plan, stores, directory)),
            checkpoints=PostgresCheckpoints(stores.pool, Codec()),
            prover=prover(stores, plan.database.archive),
            sign_in_limit=use.sign_in_limit,
            sessions=use.sessions,
            api_tokens=use.api_tokens,
            revocations=use.revocations,
            security=use.security,
            privacy=erasing,
            idempotency=PostgresIdempotency(stores.pool),
            answer_seals=use.answer_seals,
            vitals=vitals,
            stream=stream,
        )


def _venue_checks(plan: ApiPlan, stores: Stores, directory: AccountDirectory) -> VenueChecks:
    return VenueChecks(stores.candles, directory, moving=plan.moving, now=SystemClock().now)


def _reads(plan: ApiPlan, stores: Stores) -> Reads:
    return reads_over(
        ReadSources(
            log=stores.log,
            views=stores.views,
            candles=stores.candles,
            market_time=plan.market_time,
            bodies=PostgresBodies(stores.pool),
            history=BotHistory(stores.log, PostgresPasts(stores.pool)),
            failing=PostgresFailingBots(stores.pool),
            prover=prover(stores, plan.database.archive),
        )
    )


async def _tell_failures(accounts: Accounts) -> None:
    """What was counted and not told yet, as far as the log is there to be told."""
    with suppress(LogUnavailable):
        await accounts.tell_failures(all_of_them=True)
