"""What the other bots of a fleet have at stake, folded from the log: for limits that count the whole fleet."""

import asyncio
from collections.abc import Mapping

import structlog

from events.envelope import RecordedEvent
from events.errors import BelowFloor, OxbotError
from events.identifiers import BOT_STREAM_PREFIX, BotId
from events.log import LogReader
from events.system import StreamEnded
from oxbot.core.entry import Fleet
from oxbot.core.money import ZERO, exact
from oxbot.core.state import INITIAL, BotState, evolve

PAGE = 1000

logger = structlog.get_logger(__name__)


class FleetBook:
    """The states of all bots, as far as the log has come; one per process, shared by the bots that need it.

    Positions count at what they cost, so that the log alone says again what a bot was told at a position. Another
    process may append in the moment between this reading and a bot's own append: a fleet's limit can be passed by the
    entries of that moment, and no further.
    """

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._states: dict[BotId, BotState] = {}
        self._unknown: set[BotId] = set()
        self._position = 0
        self._reading = asyncio.Lock()

    async def without(self, bot_id: BotId) -> Fleet | None:
        """What the other bots of this bot's fleet have at stake by now; None if that cannot be read to the end."""
        try:
            async with self._reading:
                await self._catch_up()
        except BelowFloor as archived:
            logger.warning("fleet_unknown", bot_id=bot_id, error=str(archived))
            return None
        own = self._states.get(bot_id)
        if own is None or any(self._in_doubt(other, own) for other in self._unknown - {bot_id}):
            return None
        with exact():
            return _summed(self._states, bot_id, own.configuration.fleet, self._position)

    def _in_doubt(self, unknown: BotId, own: BotState) -> bool:
        """Whether a bot whose books are not known may be one of the same fleet."""
        created = self._states.get(unknown, INITIAL).created
        return created is None or created.fleet == own.configuration.fleet

    async def _catch_up(self) -> None:
        while events := await self._log.read_all(after_position=self._position, limit=PAGE):
            for event in events:
                self._apply(event)
            self._position = events[-1].position
            if len(events) < PAGE:
                return

    def _apply(self, event: RecordedEvent) -> None:
        if not event.stream.startswith(BOT_STREAM_PREFIX) or isinstance(event.fact, StreamEnded):
            return
        bot_id = BotId(event.stream.removeprefix(BOT_STREAM_PREFIX))
        try:
            self._states[bot_id] = evolve(self._states.get(bot_id, INITIAL), event.fact)  # type: ignore[arg-type]  # a bot's stream holds a bot's facts
        except OxbotError as error:
            if bot_id not in self._unknown:
                logger.warning("fleet_member_unknown", bot_id=bot_id, position=event.position, error=str(error))
            self._unknown.add(bot_id)


def _summed(states: Mapping[BotId, BotState], but: BotId, fleet: str, position: int) -> Fleet:
    gross = net = equity = ZERO
    for bot_id, state in states.items():
        if bot_id == but or state.created is None or state.created.fleet != fleet:
            continue
        equity += state.ledger.cash
        for held in state.ledger.positions.values():
            gross += held.cost
            net += held.cost if held.side == "long" else -held.cost
            equity += held.cost if held.kind == "spot" else ZERO
        for order in state.orders.values():
            if not order.reduce_only and order.notional is not None:
                rest = order.notional - order.filled_notional
                gross += rest
                net += rest if order.side == "buy" else -rest
    return Fleet(gross, net, equity, position)
