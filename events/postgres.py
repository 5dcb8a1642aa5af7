"""The event log in Postgres: appends through the one function ``log.append``, reads by position."""

from collections.abc import Sequence
from contextlib import suppress

from events.encoded import EncodedCommand, encode_command
from events.envelope import NewEvent
from events.errors import EventIdReused, InvalidAppend, LogError, StreamClosed, WrongExpectedVersion
from events.identifiers import EventId, StreamId
from events.log import AppendCommand, Appended, Outcome
from events.postgres_calls import UNKNOWN_OUTCOME
from events.postgres_hints import HINT_CHANNEL
from events.postgres_reads import PostgresLogReader

APPEND = """
SELECT outcome, at_version, at_position, reused_id
FROM log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

HINT = "SELECT pg_notify($1, $2)"


class PostgresEventLog(PostgresLogReader):
    """An ``EventLog``, and a ``BatchLog``, over a pool of connections to a migrated database.

    Calls whose outcome is unknown are repeated, with the same event ids, for ``deadline_seconds``; then they end as
    ``LogUnavailable``.
    """

    async def append(self, stream: StreamId, events: Sequence[NewEvent], *, expected: int) -> Appended:
        """See ``EventLog.append``."""
        [outcome] = await self.append_encoded([encode_command(self._codec, stream, events, expected=expected)])
        if isinstance(outcome, LogError):
            raise outcome
        return outcome

    async def append_batch(self, commands: Sequence[AppendCommand]) -> list[Outcome]:
        """See ``append_encoded``; a command that cannot be encoded is refused alone."""
        _check_streams([command.stream for command in commands])
        encoded = [self._encoded(command) for command in commands]
        outcomes = iter(await self.append_encoded([item for item in encoded if isinstance(item, EncodedCommand)]))
        return [next(outcomes) if isinstance(item, EncodedCommand) else item for item in encoded]

    async def append_encoded(self, commands: Sequence[EncodedCommand]) -> list[Outcome]:
        """Append many commands in one round trip and one transaction; one outcome per command, in order.

        A command that is refused leaves the others as they are. Raises ``InvalidAppend``, before anything is sent, if
        a stream comes twice, and ``LogUnavailable`` if what became of the batch is unknown.
        """
        _check_streams([command.stream for command in commands])
        return await self._send(commands)

    async def hint(self, position: int) -> None:
        """Tell waiters, in any process, that the log reaches ``position``; a hint that cannot be sent is dropped."""
        with suppress(*UNKNOWN_OUTCOME):
            await self._calls.attempt(lambda connection: connection.fetchval(HINT, HINT_CHANNEL, str(position)))

    def _encoded(self, command: AppendCommand) -> EncodedCommand | InvalidAppend:
        try:
            return encode_command(self._codec, command.stream, command.events, expected=command.expected)
        except InvalidAppend as error:
            return error

    async def _send(self, batch: Sequence[EncodedCommand]) -> list[Outcome]:
        """One outcome per command; a batch that the database refuses is halved until the culprit stands alone."""
        if not batch:
            return []
        try:
            rows = await self._calls.repeat(lambda connection: connection.fetch(APPEND, *append_arguments(batch)))
        except InvalidAppend as error:
            if len(batch) == 1:
                return [error]
            middle = len(batch) // 2
            return [*await self._send(batch[:middle]), *await self._send(batch[middle:])]
        return [_outcome(command, *row) for command, row in zip(batch, rows, strict=True)]


def _check_streams(streams: Sequence[StreamId]) -> None:
    if len(set(streams)) != len(streams):
        raise InvalidAppend("a batch may name each stream once")


def append_arguments(batch: Sequence[EncodedCommand]) -> tuple[Sequence[object], ...]:
    """The ten arrays of ``log.append``."""
    events = [event for command in batch for event in command.events]
    commands = [number for number, command in enumerate(batch, start=1) for _ in command.events]
    streams = [command.stream for command in batch]
    expected = [command.expected for command in batch]
    counts = [len(command.events) for command in batch]
    return streams, expected, counts, commands, *zip(*events, strict=True)


def _outcome(command: EncodedCommand, outcome: str, version: int, position: int, reused_id: EventId | None) -> Outcome:
    match outcome:
        case "ok":
            return Appended(version, position)
        case "duplicate":
            return Appended(version, position, duplicate=True)
        case "conflict":
            return WrongExpectedVersion(command.stream, expected=command.expected, actual=version)
        case "ended":
            return StreamClosed(command.stream)
        case "id_reused" if reused_id is not None:
            return EventIdReused(command.stream, reused_id)
        case _:
            return LogError(f"stream {command.stream}: the database answered {outcome!r}, which has no meaning")
