"""An installation in memory whose bots are advised: log, candles, bodies, gateway and desk; models that count calls."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from events.bot import BotFact, BotStarted
from events.identifiers import BotId, ModelName
from events.log import EventLog
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.adapters.scripted_transport import ScriptedTransport
from oxbot.app.advice_books import AskingBots, BotPayers
from oxbot.app.advice_desk import AdviceDelivery, AdviceDesk, ModelGateway
from oxbot.app.advice_prompt import Wording
from oxbot.app.bodies import BodyStore
from oxbot.app.bot_runner import BotRunner
from oxbot.app.candle_store import CandleStore
from oxbot.app.clock import Clock, SystemClock
from oxbot.app.models.gateway import Gateway
from oxbot.app.models.known import ModelTable, scripted_model
from oxbot.app.models.record import Record
from oxbot.app.models.transport import Completion, ModelCall, ModelTransport
from oxbot.core.candles import Frame
from oxbot.core.strategies import built_in
from tests.app.fakes import at_work, market, named
from tests.core.scenario import BOT, DECIDER, created, deposited

EVERY = 12
PARAMETERS = {"every": str(EVERY), "valid": "6", "confidence_min": "0"}
FRAMES = 400
"""Enough for several requests: a prompt shows a day of candles."""

TABLE = ModelTable([msgspec.structs.replace(scripted_model(), calls_per_minute=100_000, burst=1000)])


class CountedTransport:
    """The scripted model, or another, and the calls that it got."""

    def __init__(self, answer: Completion | None = None) -> None:
        self.calls: list[ModelCall] = []
        self._answer = answer
        self._scripted = ScriptedTransport()

    async def complete(self, call: ModelCall) -> Completion:
        """See ``ModelTransport``."""
        self.calls.append(call)
        if self._answer is not None:
            return self._answer
        return await self._scripted.complete(call)


def advised(bot_id: BotId = BOT, **parameters: str) -> list[BotFact]:
    """A running bot of the strategy ``model``."""
    strategy = built_in().refer("model", PARAMETERS | parameters)
    return named([msgspec.structs.replace(created(), strategy=strategy), deposited(), BotStarted()], bot_id)


def advised_market(count: int = FRAMES) -> list[Frame]:
    """A market in which there is something to have opinions on."""
    return market(count, seed=3)


class AdvisedStage:
    """The stores, and a desk over them whenever one is asked for."""

    def __init__(self, log: EventLog, candles: CandleStore, *, bodies: BodyStore | None = None) -> None:
        self.log = log
        self.candles = candles
        self.bodies = bodies or MemoryBodies()
        self.transport = CountedTransport()

    def desk(
        self,
        *,
        transport: ModelTransport | None = None,
        clock: Clock | None = None,
        speed: float | None = None,
        table: ModelTable = TABLE,
        holder: str = "models",
        gateway: ModelGateway | None = None,
    ) -> AdviceDesk:
        """One incarnation."""
        clock, payers = clock or SystemClock(), BotPayers(self.log)
        bots = AskingBots(self.log, DECIDER)
        deliver = AdviceDelivery(bots, log=self.log, decider=DECIDER, clock=clock, holder=holder)
        gateway = gateway or Gateway(
            table,
            transport=transport or self.transport,
            record=Record(self.log, clock=clock, payers=payers, budgets=table.budgets, holder=holder),
            bodies=self.bodies,
            deliver=deliver,
            clock=clock,
        )
        return AdviceDesk(
            gateway,
            log=self.log,
            bots=bots,
            wording=Wording(self.candles, DECIDER),
            payers=payers,
            deliver=deliver,
            clock=clock,
            lenient=frozenset[ModelName]().__contains__,
            speed=speed,
        )

    @asynccontextmanager
    async def serving(self, **how: object) -> AsyncIterator[None]:
        """A desk at work beside the block."""
        async with at_work(self.desk(**how).run()):  # type: ignore[arg-type]  # handed on
            yield

    async def live(self, frames: Sequence[Frame], *, bot_id: BotId = BOT, patience_seconds: float = 30.0) -> BotRunner:
        """The bot after the frames, a new incarnation of it."""
        incarnation = BotRunner(
            bot_id, log=self.log, decider=DECIDER, candles=self.candles, clock=SystemClock(), holder="host"
        )
        await incarnation.claim()
        await incarnation.observe(frames, patience_seconds=patience_seconds)
        return incarnation
