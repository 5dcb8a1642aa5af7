"""A plain WebSocket client of the local exchange, for what ccxt hides."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from oxbot.exchange.auth import LOGIN_PATH, signature
from oxbot.exchange.plan import Funded
from tests.exchange.running import DEMO, Venue, key_of

WAIT_SECONDS = 10.0


class Socket:
    """One connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, message: object) -> None:
        """Send it."""
        await self.socket.send_str(message if isinstance(message, str) else msgspec.json.encode(message).decode())

    async def hear(self) -> Any:
        """The next message; how it closed if it did."""
        message = await self.socket.receive(timeout=WAIT_SECONDS)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return message.type
        return message.data if message.data == "pong" else msgspec.json.decode(message.data)

    async def silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for so long; what came is lost."""
        try:
            async with asyncio.timeout(seconds):
                await self.socket.receive()
        except TimeoutError:
            return True
        return False

    async def subscribe(self, **arg: str) -> Any:
        """The acknowledgement, or the error."""
        await self.say({"op": "subscribe", "args": [arg]})
        return await self.hear()

    async def log_in(self, funded: Funded = DEMO, **changes: str) -> Any:
        """The answer to a login whose fields may be wrong."""
        key = key_of(funded)
        stamp = changes.get("timestamp", str(int(time.time())))
        args = {
            "apiKey": key.key,
            "passphrase": key.passphrase,
            "timestamp": stamp,
            "sign": signature(key.secret, f"{stamp}{LOGIN_PATH}"),
        }
        await self.say({"op": "login", "args": [args | changes]})
        return await self.hear()


@asynccontextmanager
async def connected(venue: Venue, path: str, *, demo: bool = True) -> AsyncIterator[Socket]:
    """A connection to /ws/v5/``path``."""
    url = f"{venue.ws_url}/{path}{'?brokerId=9999' if demo else ''}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        yield Socket(socket)
