"""The processes of the API's benchmark: the API as it is served, a bare route beside it, and a fleet that goes on."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks._lives import event_of, life
from events.identifiers import BotId, bot_stream
from events.log import ANY_VERSION
from oxbot.adapters.database import open_pool
from oxbot.api.options import ApiOptions
from oxbot.app.equity import EverythingStoredIsClosed
from oxbot.cli.installation import main_commands
from oxbot.config import Secret, load_settings
from oxbot.logs import configure_logs
from oxbot.wiring.api import CONNECTIONS, ApiPlan, serve_api
from oxbot.wiring.http_server import address_of, http_server, listen
from oxbot.wiring.projector import open_projector
from oxbot.wiring.stores import Database, open_stores

UNLIMITED = ApiOptions(user_requests_per_second=0, address_requests_per_second=0)
SELECT = "select body from views.portfolios where owner = $1 and key = $2"
EVENTS_PER_SECOND = 20
"""How fast the fleet goes on, so that no answer is out of a cache of what never changes."""


async def ours(dsn: str, home: Path) -> None:
    """The API as ``oxbot up`` serves it, without limits on how often somebody may ask."""
    settings = load_settings({"OXBOT_HOME": str(home)})
    await serve_api(
        ApiPlan(
            host="127.0.0.1",
            port=0,
            home=home,
            database=Database(dsn=Secret(dsn), embedded=True),
            commands=lambda stores: main_commands(stores, settings, actor="api"),
            market_time=EverythingStoredIsClosed(),
            announce=partial(print, flush=True),
            options=UNLIMITED,
        )
    )


async def bare(dsn: str, _: Path) -> None:
    """Starlette routes that do the same select, or answer as many bytes, on the same server, and nothing else."""
    pools: list[asyncpg.Pool] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with await open_pool(dsn, size=CONNECTIONS, application_name="bare") as pool:
            pools.append(pool)
            yield

    async def show(request: Request) -> Response:
        body = await pools[0].fetchval(SELECT, request.path_params["bot_id"], "")
        return Response(body, media_type="application/json")

    async def give(request: Request) -> Response:
        return Response(b"x" * int(request.path_params["size"]), media_type="application/json")

    routes = [Route("/api/v1/bots/{bot_id}/portfolio", show), Route("/bytes/{size}", give)]
    app = Starlette(routes=routes, lifespan=lifespan)
    listener = listen("127.0.0.1", 0, plain=True)
    print(f"the API listens on {address_of(listener, tls=False)}", flush=True)
    with listener:
        await http_server(app, tls=None).serve(sockets=[listener])


async def fleet(dsn: str, _: Path) -> None:
    """The projector, and beside it the fleet, which records what becomes of one bot after the other."""
    database = Database(dsn=Secret(dsn), embedded=True)
    async with open_projector(database) as projector, asyncio.TaskGroup() as tasks:
        tasks.create_task(projector.run())
        tasks.create_task(_go_on(database))


async def _go_on(database: Database) -> None:
    lives = {number: life(BotId(f"late-{number}")) for number in range(50)}
    async with open_stores(database, "oxbot_host", name="fleet", connections=1) as stores:
        log = stores.log
        for number in cycle(lives):
            [fact] = islice(lives[number], 1)
            await log.append(bot_stream(BotId(f"late-{number}")), [event_of(fact)], expected=ANY_VERSION)
            await asyncio.sleep(1 / EVENTS_PER_SECOND)


if __name__ == "__main__":
    configure_logs("warning")
    role, given_dsn, given_home = sys.argv[1:]
    asyncio.run({"ours": ours, "bare": bare, "fleet": fleet}[role](given_dsn, Path(given_home)))
