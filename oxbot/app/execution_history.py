"""What an account's bots have sent and traded beyond the ended orders that their folds remember."""

from collections.abc import Iterable

from events.bot import OrderFilled, OrderSubmitted
from events.identifiers import BotId, bot_stream
from events.log import EventLog

PAGE = 1000


class OldOrders:
    """The names of all orders and trades in the bots' streams; read only once something at the venue is unknown."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._read: dict[BotId, int] = {}
        self._sent: set[str] = set()
        self._booked: set[str] = set()

    async def learn(self, bot_ids: Iterable[BotId]) -> None:
        """Read what of the bots' streams was not read yet."""
        for bot_id in bot_ids:
            while page := await self._log.read_stream(
                bot_stream(bot_id), after_version=self._read.get(bot_id, 0), limit=PAGE
            ):
                self._read[bot_id] = page[-1].version
                for event in page:
                    if isinstance(event.fact, OrderSubmitted):
                        self._sent.add(event.fact.client_id)
                    elif isinstance(event.fact, OrderFilled):
                        self._booked.add(event.fact.fill_id)

    def sent(self, client_id: str) -> bool:
        """Whether a bot sent an order under that name."""
        return client_id in self._sent

    def booked(self, fill_id: str) -> bool:
        """Whether a trade of that name is on record."""
        return fill_id in self._booked
