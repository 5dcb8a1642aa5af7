"""The API with a bot that has lived, for tests that ask for everything there is."""

import re

import msgspec

from events.identifiers import MODELS_STREAM, bot_stream
from oxbot.api.app import create_app
from oxbot.api.options import ApiOptions
from oxbot.api.routes import OPERATIONS
from oxbot.app.bots import NewBot
from tests.api.stage import BOT, BTC, Stage, say
from tests.api.test_paging import portfolio, position, trade
from tests.views.advising import asked_once, begun, ended

UNLIMITED = ApiOptions(user_requests_per_second=0, address_requests_per_second=0)
KNOWN = {
    "bot_id": BOT, "position": "1", "strategy": "trinity", "model": "deep", "account": "main", "venue": "test",
    "user_id": "a-admin",
}  # fmt: skip


async def populated() -> Stage:
    """The stage; its application has still to be started."""
    stage = Stage()
    stage.app = create_app(stage.open_services, UNLIMITED)
    async with stage.open_services() as services:
        await services.bots.create(NewBot(name="one", symbols=(BTC,)), bot_id=BOT)
        await services.bots.start(BOT)
    await say(stage, bot_stream(BOT), *asked_once(BOT))
    await say(stage, MODELS_STREAM, begun(), ended(begun()))
    await stage.project()
    await stage.seal()
    await stage.store(msgspec.structs.replace(trade(1), entry_cost="50"), portfolio(BOT), position(BTC))
    return stage


def readable() -> list[str]:
    """Every path that can be read, with names in it of what there is, where there is any."""
    paths = (one.path for one in OPERATIONS if one.method == "GET")
    return [re.sub(r"{(\w+)}", lambda found: KNOWN.get(found[1], "none"), path) for path in paths]
