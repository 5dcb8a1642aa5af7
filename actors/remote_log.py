"""The log and the candles for a process without a connection of its own, reached through a gateway."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import stamina

from actors import log_messages as messages
from events.encoded import EncodedCommand
from events.envelope import RecordedEvent
from events.errors import Backpressure, LogError, LogUnavailable, OxbotError, StoreUnavailable
from events.identifiers import StreamId
from events.log import Appended, Outcome
from oxbot.app.candle_store import Extent
from oxbot.core.candles import Candle, Series

ATTEMPT_SECONDS = 20.0
"""Longer than a request waits in the gateway and the gateway for the database, so that neither is asked twice."""

WAIT_SECONDS_MAX = 5.0

ReplyT = TypeVar("ReplyT", bound=messages.Reply)


class GatewayUnavailable(OxbotError):
    """The gateway did not answer in time, or has died; what it was asked may or may not have been done."""


class Gateway(Protocol):
    """The way to a ``LogService``."""

    async def ask(self, request: bytes, *, seconds: float) -> bytes:
        """The reply. Raises ``GatewayUnavailable`` when there is none within the time."""
        ...


class _Caller:
    """Asks until there is an answer or the deadline has passed; asked twice, no request changes anything twice."""

    def __init__(self, gateway: Gateway, *, deadline_seconds: float) -> None:
        self._gateway = gateway
        self._deadline_seconds = deadline_seconds

    async def ask(self, request: messages.Request, kind: type[ReplyT]) -> ReplyT:
        """The reply, of this kind. Raises what the service raised, or ``GatewayUnavailable`` after the deadline.

        ``Backpressure`` after the deadline says that no copy of the request was taken.
        """
        clock = asyncio.get_running_loop().time
        ends_at = clock() + self._deadline_seconds
        encoded = messages.encode(request)
        unanswered = False
        async for attempt in stamina.retry_context(
            on=(GatewayUnavailable, Backpressure),
            attempts=None,
            timeout=self._deadline_seconds,
            wait_initial=0.05,
            wait_jitter=0.05,
            wait_max=1.0,
        ):
            with attempt:
                seconds = min(ATTEMPT_SECONDS, max(ends_at - clock(), 0.0))
                try:
                    return _reply(await self._gateway.ask(encoded, seconds=seconds), kind)
                except GatewayUnavailable:
                    unanswered = True
                    raise
                except Backpressure as error:
                    if unanswered:
                        raise GatewayUnavailable(f"an earlier copy may have been taken; {error}") from error
                    raise
        raise AssertionError("retrying ends with an answer or an error")


class RemoteLog:
    """A ``BatchLog`` behind a gateway; facts are encoded here, and what comes back is the log's own answer.

    An append whose answer is lost is sent again with the same event ids, through whichever gateway answers, until the
    deadline: at most one copy is stored, however often it arrives.
    """

    def __init__(self, gateway: Gateway, *, deadline_seconds: float = 30.0) -> None:
        self._caller = _Caller(gateway, deadline_seconds=deadline_seconds)

    async def append_encoded(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """See ``BatchLog.append_encoded``."""
        reply = await self._ask(messages.Append(commands), messages.Outcomes)
        return [_outcome(outcome) for outcome in reply.outcomes]

    async def hint(self, position: int) -> None:
        """Nothing: the gateway gives the hints for what it has committed."""
        del position

    async def read_stream(
        self, stream: StreamId, *, after_version: int = 0, limit: int | None = None, up_to_position: int | None = None
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_stream``."""
        request = messages.ReadStream(stream, after_version, limit, up_to_position)
        return (await self._ask(request, messages.Events)).events

    async def read_all(
        self,
        *,
        after_position: int = 0,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        up_to: int | None = None,
    ) -> Sequence[RecordedEvent]:
        """See ``LogReader.read_all``."""
        request = messages.ReadAll(after_position, limit, types, up_to)
        return (await self._ask(request, messages.Events)).events

    async def head(self) -> int:
        """See ``LogReader.head``."""
        return (await self._ask(messages.Head(), messages.Number)).number

    async def wait_beyond(self, position: int, *, timeout_seconds: float) -> int:
        """See ``LogReader.wait_beyond``."""
        clock = asyncio.get_running_loop().time
        ends_at = clock() + timeout_seconds
        while True:
            seconds = min(WAIT_SECONDS_MAX, max(ends_at - clock(), 0.0))
            head = (await self._ask(messages.WaitBeyond(position, seconds), messages.Number)).number
            if head > position or clock() >= ends_at:
                return head

    async def position_at(self, time: datetime) -> int:
        """See ``LogReader.position_at``."""
        return (await self._ask(messages.PositionAt(time), messages.Number)).number

    async def _ask(self, request: messages.Request, kind: type[ReplyT]) -> ReplyT:
        try:
            return await self._caller.ask(request, kind)
        except GatewayUnavailable as error:
            raise LogUnavailable(f"the log could not be reached: {error}") from error


class CandlesReadOnly(OxbotError):
    """Candles were to be stored through a gateway; whoever makes candles has a connection."""


class RemoteCandles:
    """A ``CandleStore`` behind a gateway, for reading."""

    def __init__(self, gateway: Gateway, *, deadline_seconds: float = 30.0) -> None:
        self._caller = _Caller(gateway, deadline_seconds=deadline_seconds)

    async def add(self, candles: Sequence[tuple[Series, Sequence[Candle]]]) -> int:
        """Raises ``CandlesReadOnly``: a gateway's role may not store any."""
        raise CandlesReadOnly(f"candles of {len(candles)} series cannot be stored through a gateway")

    async def read(
        self, series: Series, *, begins_at: datetime, ends_before: datetime, limit: int | None = None
    ) -> list[Candle]:
        """See ``CandleStore.read``."""
        request = messages.ReadCandles(series, begins_at, ends_before, limit)
        return (await self._ask(request, messages.Candles)).candles

    async def window(self, series: Series, *, last: datetime, count: int) -> list[Candle]:
        """See ``CandleStore.window``."""
        return (await self._ask(messages.Window(series, last, count), messages.Candles)).candles

    async def extent(self, series: Series) -> Extent | None:
        """See ``CandleStore.extent``."""
        return (await self._ask(messages.ExtentOf(series), messages.FoundExtent)).extent

    async def _ask(self, request: messages.Request, kind: type[ReplyT]) -> ReplyT:
        try:
            return await self._caller.ask(request, kind)
        except GatewayUnavailable as error:
            raise StoreUnavailable(f"the candle store could not be reached: {error}") from error


def _reply(encoded: bytes, kind: type[ReplyT]) -> ReplyT:
    reply = messages.decode_reply(encoded)
    if isinstance(reply, kind):
        return reply
    if not isinstance(reply, messages.Failed):
        raise TypeError(f"asked for {kind.__name__}, answered with {type(reply).__name__}")
    raise messages.decode_error(reply.error)


def _outcome(outcome: Appended | bytes) -> Outcome:
    if isinstance(outcome, Appended):
        return outcome
    error = messages.decode_error(outcome)
    if isinstance(error, LogError):
        return error
    raise error
