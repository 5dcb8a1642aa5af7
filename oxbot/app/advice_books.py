"""The bots that ask for advice, as their streams say: each folded up to just before what it asked."""

from collections import OrderedDict

from events.bot import BotCreated, BotFact
from events.errors import OxbotError
from events.identifiers import BotId, bot_stream
from events.log import EventLog
from events.system import StreamEnded
from oxbot.app.handle import FoldCache, Folded, fold_stream
from oxbot.app.models.wanted import Payer
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState

BOTS_KEPT = 2000


class UnknownBot(OxbotError):
    """A bot was asked about that has no stream."""


class AskingBots:
    """The bots' states, the last few of them at hand, so that a stream is read once."""

    def __init__(self, log: EventLog, decider: BotDecider, *, cache: FoldCache[BotState] | None = None) -> None:
        self._log = log
        self._decider = decider
        self._cache = cache
        self._known: OrderedDict[BotId, Folded[BotState]] = OrderedDict()

    async def before(self, bot_id: BotId, version: int) -> BotState:
        """The bot as it was just before the fact of that version of its stream."""
        known = await self._begun(bot_id, version)
        wanted = version - 1 - known.version
        events = []
        if wanted > 0:
            events = list(await self._log.read_stream(bot_stream(bot_id), after_version=known.version, limit=wanted))
        state = known.state
        for event in events:
            if not isinstance(event.fact, StreamEnded):
                fact: BotFact = event.fact  # type: ignore[assignment]  # a bot's stream holds a bot's facts
                state = self._decider.evolve(state, fact)
        self._keep(bot_id, Folded(state, known.version + len(events)))
        return state

    async def now(self, bot_id: BotId) -> Folded[BotState]:
        """The bot as it is."""
        folded = await fold_stream(
            self._log, self._decider, bot_stream(bot_id), self._known.get(bot_id), cache=self._cache
        )
        self._keep(bot_id, folded)
        return folded

    async def _begun(self, bot_id: BotId, version: int) -> Folded[BotState]:
        """Where the fold may begin: nothing at hand, or in the cache, may know of more than what is wanted."""
        known = self._known.get(bot_id)
        if known is None and self._cache is not None:
            known = await self._cache.begin(self._log, bot_stream(bot_id))
        if known is None or known.version >= version:
            return Folded(self._decider.initial, 0)
        return known

    def _keep(self, bot_id: BotId, folded: Folded[BotState]) -> None:
        self._known[bot_id] = folded
        self._known.move_to_end(bot_id)
        if len(self._known) > BOTS_KEPT:
            self._known.popitem(last=False)


class BotPayers:
    """Knows who pays for a bot: what it was created with says so. Implements ``Payers``."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._known: dict[BotId, Payer] = {}

    async def of(self, bot_id: BotId) -> Payer:
        """Its owner, of whom the house is one, and its fleet. Raises ``UnknownBot``."""
        if bot_id not in self._known:
            events = await self._log.read_stream(bot_stream(bot_id), limit=1)
            if not events or not isinstance(events[0].fact, BotCreated):
                raise UnknownBot(f"there is no bot {bot_id}")
            created = events[0].fact
            self._known[bot_id] = Payer(created.owner, created.fleet)
        return self._known[bot_id]
