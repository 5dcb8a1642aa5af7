"""Answers the messages of processes that reach the log and the candles through this one."""

from collections.abc import Sequence
from typing import assert_never

from actors import log_messages as messages
from actors.append_queue import AppendQueue
from events.errors import LogError, OxbotError
from events.log import LogReader, Outcome
from oxbot.app.candle_store import CandleStore


class LogService:
    """Appends through one writer what many callers send; reads beside it, so that neither holds up the other.

    Whatever oxbot itself refuses is an answer; anything else that goes wrong is this process's bug, and raised.
    """

    def __init__(self, appends: AppendQueue, *, reads: LogReader, candles: CandleStore) -> None:
        self._appends = appends
        self._reads = reads
        self._candles = candles

    async def run(self) -> None:
        """Let the appends go out until cancelled."""
        await self._appends.run()

    async def answer(self, request: bytes) -> bytes:
        """The reply to one request."""
        try:
            reply = await self._reply(messages.decode_request(request), size=len(request))
        except OxbotError as error:
            reply = messages.Failed(messages.encode_error(error))
        return messages.encode(reply)

    async def _reply(self, request: messages.Request, *, size: int) -> messages.Reply:
        match request:
            case messages.Append(commands):
                return _outcomes(await self._appends.append(commands, size=size))
            case messages.ReadStream() | messages.ReadAll():
                return await self._read(request)
            case messages.Head():
                return messages.Number(await self._reads.head())
            case messages.WaitBeyond(position, seconds):
                return messages.Number(await self._reads.wait_beyond(position, timeout_seconds=seconds))
            case messages.PositionAt(time):
                return messages.Number(await self._reads.position_at(time))
            case messages.ReadCandles() | messages.Window():
                return await self._read_candles(request)
            case messages.ExtentOf(series):
                return messages.FoundExtent(await self._candles.extent(series))
            case _:
                assert_never(request)

    async def _read(self, request: messages.ReadStream | messages.ReadAll) -> messages.Events:
        match request:
            case messages.ReadStream(stream, after_version, limit, up_to_position):
                events = await self._reads.read_stream(
                    stream, after_version=after_version, limit=limit, up_to_position=up_to_position
                )
            case messages.ReadAll(after_position, limit, types, up_to):
                events = await self._reads.read_all(
                    after_position=after_position, limit=limit, types=types, up_to=up_to
                )
        return messages.Events(list(events))

    async def _read_candles(self, request: messages.ReadCandles | messages.Window) -> messages.Candles:
        match request:
            case messages.ReadCandles(series, begins_at, ends_before, limit):
                candles = await self._candles.read(series, begins_at=begins_at, ends_before=ends_before, limit=limit)
            case messages.Window(series, last, count):
                candles = await self._candles.window(series, last=last, count=count)
        return messages.Candles(candles)


def _outcomes(outcomes: Sequence[Outcome]) -> messages.Outcomes:
    return messages.Outcomes(
        [messages.encode_error(outcome) if isinstance(outcome, LogError) else outcome for outcome in outcomes]
    )
