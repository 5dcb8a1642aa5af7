"""The names of the streams by the numbers that stand for them in the events' rows."""

from collections.abc import Sequence

import asyncpg

from events.errors import LogDamaged
from events.identifiers import StreamId

NAMED = "SELECT s.stream_no, s.stream_id FROM log.streams AS s WHERE s.stream_no = ANY($1::bigint[])"
KEPT_MAX = 100_000


class StreamNames:
    """Remembers, for each connection, the names it has looked up.

    A number keeps its name for ever on one server; on a stand-in that took over without the last commits it may come to
    mean another stream, so nothing that was learnt over one connection is believed over the next.
    """

    def __init__(self) -> None:
        self._by_connection: dict[int, dict[int, StreamId]] = {}

    async def of(self, connection: asyncpg.pool.PoolConnectionProxy, numbers: Sequence[int]) -> list[StreamId]:
        """The name of each number. Raises ``LogDamaged`` for a number without a stream."""
        names = self._names(connection)
        strangers = {number for number in numbers if number not in names}
        if strangers:
            if len(names) + len(strangers) > KEPT_MAX:
                names.clear()
                strangers = set(numbers)
            names.update((number, name) for number, name in await connection.fetch(NAMED, strangers))
        try:
            return [names[number] for number in numbers]
        except KeyError as missing:
            raise LogDamaged(f"stream number {missing} is missing from the log") from None

    def _names(self, connection: asyncpg.pool.PoolConnectionProxy) -> dict[int, StreamId]:
        key = connection.get_server_pid()
        names = self._by_connection.get(key)
        if names is None:
            names = self._by_connection[key] = {}

            def forget(_: object) -> None:
                self._by_connection.pop(key, None)

            connection.add_termination_listener(forget)
        return names
