"""The actor that runs a market, and the feed through which other actors follow it."""

import os
from typing import TYPE_CHECKING

import msgspec
import ray

from actors.calls import ActorUnavailable, Handle, answer, find
from actors.resident import Resident
from oxbot.app.feed import FeedReply, FeedRequest, FeedUnavailable
from oxbot.app.market_runner import Market, MarketProgress
from oxbot.logs import configure_logs

if TYPE_CHECKING:
    # Hosts import this module for the feed, and not every host has a connection.
    from oxbot.wiring.stores import Database

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(FeedRequest)
_replies = msgspec.msgpack.Decoder(FeedReply)


class MarketActor:
    """A market for any number of followers."""

    def __init__(self, plan: bytes, database: "Database", log_level: str) -> None:
        from oxbot.wiring.market import MarketPlan, open_market  # noqa: PLC0415 - hosts import this module for the feed

        configure_logs(log_level)
        decoded = msgspec.msgpack.decode(plan, type=MarketPlan)
        self._resident: Resident[Market] = Resident("market", lambda: open_market(decoded, database))

    async def after(self, request: bytes) -> bytes:
        """The frames after a follower's cursor."""
        reply = await (await self._resident.runner()).after(_requests.decode(request))
        return _encoder.encode(reply)

    async def progress(self) -> MarketProgress:
        """How far everybody is."""
        return (await self._resident.runner()).progress()

    async def wake(self) -> int:
        """Be at work; answers the process id."""
        await self._resident.runner()
        return os.getpid()


class RemoteFeed:
    """A ``CandleFeed`` from the market actor of this name, found again whenever it was lost."""

    def __init__(self, market: str) -> None:
        self._market = market
        self._handle: Handle | None = None

    async def after(self, request: FeedRequest) -> FeedReply:
        """What follows the request's cursor."""
        try:
            if self._handle is None:
                self._handle = find(self._market)
            reply: ray.ObjectRef[bytes] = self._handle.after.remote(_encoder.encode(request))
            return _replies.decode(await answer(reply, of=self._market))
        except ActorUnavailable as error:
            self._handle = None
            raise FeedUnavailable(str(error)) from error
