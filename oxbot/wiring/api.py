"""A process that serves the API: views, commands, accounts and readiness over one pool."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import uvicorn

from events.codec import Codec
from events.errors import OxbotError
from oxbot.adapters.argon2_passwords import Argon2Passwords
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from oxbot.adapters.postgres_readiness import PostgresReadiness
from oxbot.adapters.postgres_tree import PostgresCheckpoints
from oxbot.adapters.signing_key import load_or_create
from oxbot.api.app import create_app
from oxbot.api.services import Services
from oxbot.api.sign_in_limit import SignInLimit
from oxbot.api.tokens import Tokens
from oxbot.app.account_directory import AccountDirectory, AccountFailures
from oxbot.app.accounts import Accounts
from oxbot.app.arena import ArenaReader
from oxbot.app.bots import BotCommands
from oxbot.app.clock import SystemClock
from oxbot.app.equity import EquityReader, MarketTime
from oxbot.app.models.known import ModelTable
from oxbot.app.projections import Projections
from oxbot.config import Secret
from oxbot.wiring.audit import prover
from oxbot.wiring.privacy import privacy, subject_keys
from oxbot.wiring.stores import Database, Stores, open_stores
from oxbot.wiring.strategies import usable_strategies
from oxbot.wiring.venue_accounts import account_reader, venue_accounts

CONNECTIONS = 4
LOG_SECONDS = 5.0
SHUTDOWN_SECONDS = 10
"""How long requests that are under way are waited for in the end."""


class CannotListen(OxbotError):
    """The address is taken, or not one of this machine."""


class ApiPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API listens and what it serves; ``announce`` is told the address, and the first password, once.

    Of ``models`` it needs only what their table says.
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


async def serve_api(plan: ApiPlan) -> None:
    """Serve until the process is told to stop. Raises ``CannotListen``, or what opening the stores raises."""
    tokens = Tokens(load_or_create(plan.home))
    listener = _listen(plan.host, plan.port)
    host, port = listener.getsockname()[:2]
    plan.announce(f"the API listens on http://{host}:{port}")

    def open_services() -> AbstractAsyncContextManager[Services]:
        return _open_services(plan, tokens)

    config = uvicorn.Config(
        create_app(open_services),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    with listener:
        await _serve(uvicorn.Server(config), listener)


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


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


@asynccontextmanager
async def _open_services(plan: ApiPlan, tokens: Tokens) -> AsyncIterator[Services]:
    async with open_stores(
        plan.database, "oxbot_api", name="api", connections=CONNECTIONS, deadline_seconds=LOG_SECONDS
    ) as stores:
        await privacy(stores, plan.home, actor="api").finish()
        credentials, keys = PostgresCredentials(stores.pool), subject_keys(stores, plan.home)
        accounts = Accounts(stores.log, credentials, keys, Argon2Passwords(), now=SystemClock().now)
        password = await accounts.ensure_admin()
        if password is not None:
            plan.announce(f"sign in as admin with the password {password} (shown this once)")
        projections = Projections(stores.log, stores.views)
        directory = AccountDirectory(stores.log)
        equity = EquityReader(stores.views, stores.candles, plan.market_time)
        yield Services(
            views=stores.views,
            projections=projections,
            bots=plan.commands(stores),
            strategies=usable_strategies(),
            failing=AccountFailures(PostgresFailingBots(stores.pool), directory),
            equity=equity,
            arena=ArenaReader(stores.views, equity, plan.models),
            accounts=accounts,
            venue_accounts=venue_accounts(stores, plan.home, plan.venue_key, actor="api"),
            account_reader=account_reader(stores, directory),
            tokens=tokens,
            readiness=PostgresReadiness(stores.pool, projections),
            checkpoints=PostgresCheckpoints(stores.pool, Codec()),
            prover=prover(stores, plan.database.archive),
            sign_in_limit=SignInLimit(),
        )
