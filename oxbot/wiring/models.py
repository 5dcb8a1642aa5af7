"""A process that asks language models: the only one that may load litellm, and that is given their keys."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from itertools import count

import msgspec

from events.codec import Codec
from events.commit import GroupCommitLog
from events.identifiers import ModelName
from oxbot.adapters.model_table import ModelKeys, read_model_table
from oxbot.adapters.model_transport import open_transport
from oxbot.adapters.postgres_bodies import PostgresBodies
from oxbot.adapters.postgres_snapshots import PostgresSnapshots
from oxbot.app.advice_books import AskingBots, BotPayers
from oxbot.app.advice_desk import AdviceDelivery, AdviceDesk
from oxbot.app.advice_keeper import AdviceKeeper
from oxbot.app.advice_prompt import Wording
from oxbot.app.clock import SystemClock
from oxbot.app.models.gateway import Gateway
from oxbot.app.models.known import SCRIPTED, Budgets, KnownModel, ModelTable, scripted_model
from oxbot.app.models.record import Record
from oxbot.app.models.transport import ModelTransport
from oxbot.app.news.desk import NewsDesk
from oxbot.app.news.extraction import PayersWithNews, ReadingDesk
from oxbot.app.snapshots import Snapshots
from oxbot.config import InvalidSetting, Secret, Settings
from oxbot.core.bot import BotDecider
from oxbot.core.bot_state import BotState
from oxbot.core.models_stream import ModelsState
from oxbot.wiring.connections import MODELS
from oxbot.wiring.market import MarketPlan, PlayedMarket, VenueMarket
from oxbot.wiring.news import NewsPlan, news_for, news_plan, open_news
from oxbot.wiring.stores import Database, Stores, open_stores
from oxbot.wiring.strategies import usable_strategies

SCRIPTED_PER_MINUTE = 100_000
"""No provider limits what is computed here."""


class ModelsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which models there are, on what terms, and what the environment variables hold that their entries name.

    Market time passes ``speed`` times as fast as the clock; None if it waits for answers.
    """

    models: tuple[KnownModel, ...] = ()
    budgets: Budgets = Budgets()
    keys: Mapping[str, Secret] = {}
    speed: float | None = None
    news: NewsPlan = NewsPlan()

    @property
    def table(self) -> ModelTable:
        """The models, the scripted one as fast as it is."""
        fast = msgspec.structs.replace(scripted_model(), calls_per_minute=SCRIPTED_PER_MINUTE, burst=1000)
        return ModelTable([fast, *self.models], self.budgets)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that hold keys, as they were."""
        return {variable: secret.reveal() for variable, secret in self.keys.items()}

    @property
    def pinned(self) -> bool:
        """Whether a key is in a file of this machine."""
        return any(model.key_file is not None for model in self.models)


def models_plan(settings: Settings, environment: Mapping[str, str]) -> ModelsPlan:
    """The plan of an installation, for no market yet. Raises ``InvalidModelTable`` or ``InvalidSetting``."""
    table = read_model_table(settings.models)
    models = tuple(model for name, model in table.models.items() if name != SCRIPTED)
    if not all(model.scripted for model in models) and find_spec("litellm") is None:
        raise InvalidSetting("OXBOT_MODELS names models of providers, and litellm is not installed: oxbot[llm] is")
    named = {model.key_env for model in models if model.key_env is not None}
    keys = {name: Secret(environment[name]) for name in sorted(named) if name in environment}
    return ModelsPlan(models=models, budgets=table.budgets, keys=keys, news=news_plan(settings, table))


def paced(plan: ModelsPlan, market: MarketPlan) -> ModelsPlan:
    """The plan for bots of that market."""
    return msgspec.structs.replace(plan, speed=_speed(market), news=news_for(plan.news, market))


def take_keys(plan: ModelsPlan, environment: MutableMapping[str, str] = os.environ) -> None:
    """Let the models' keys leave this process's environment, which every process it starts would have."""
    for name in plan.keys:
        environment.pop(name, None)


@asynccontextmanager
async def open_models(name: str, plan: ModelsPlan, database: Database) -> AsyncIterator["ModelsRunner"]:
    """What answers requests for advice, and reads the news that go into them."""
    clock = SystemClock()
    async with (
        open_stores(database, "oxbot_models", name="models", connections=MODELS) as stores,
        GroupCommitLog(stores.log, Codec()) as log,
        Snapshots(PostgresSnapshots(stores.pool), BotState) as snapshots,
        Snapshots(PostgresSnapshots(stores.pool), ModelsState) as claims,
        open_transport(plan.table, plan.environment, clock=clock) as transport,
    ):
        incarnations, reading = count(1), ReadingDesk()

        def begin() -> AdviceDesk:
            bots = AskingBots(log, BotDecider(usable_strategies()), cache=snapshots)
            holder = f"{name}-{next(incarnations)}"
            return _desk(holder, plan, stores, log=log, bots=bots, claims=claims, transport=transport, reading=reading)

        news = open_news(plan.news, log=log, bodies=PostgresBodies(stores.pool), reading=reading, holder=name)
        yield ModelsRunner(AdviceKeeper(begin, log=log, clock=clock), news)


class ModelsRunner:
    """Answers requests for advice and reads news, one beside the other."""

    def __init__(self, keeper: AdviceKeeper, news: NewsDesk | None) -> None:
        self._keeper = keeper
        self._news = news

    async def run(self) -> None:
        """Work until cancelled or failed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keeper.run())
            if self._news is not None:
                tasks.create_task(self._news.run())


def _desk(
    name: str,
    plan: ModelsPlan,
    stores: Stores,
    *,
    log: GroupCommitLog,
    bots: AskingBots,
    claims: Snapshots[ModelsState],
    transport: ModelTransport,
    reading: ReadingDesk,
) -> AdviceDesk:
    table, clock, payers = plan.table, SystemClock(), PayersWithNews(BotPayers(log))
    decider = BotDecider(usable_strategies())
    deliver = AdviceDelivery(bots, log=log, decider=decider, clock=clock, holder=name)
    gateway = Gateway(
        table,
        transport=transport,
        record=Record(log, clock=clock, payers=payers, budgets=table.budgets, holder=name, cache=claims),
        bodies=PostgresBodies(stores.pool),
        deliver=reading.delivers(deliver),
        clock=clock,
        fault=ModelKeys(table, plan.environment).fault,
    )
    reading.serve(gateway.ask)

    def lenient(model: ModelName) -> bool:
        known = table.get(model)
        return known is not None and known.answers == "lenient"

    return AdviceDesk(
        gateway,
        log=log,
        bots=bots,
        wording=Wording(stores.candles, decider),
        payers=payers,
        deliver=deliver,
        clock=clock,
        lenient=lenient,
        speed=plan.speed,
    )


def _speed(market: MarketPlan) -> float | None:
    match market:
        case PlayedMarket():
            return None if market.speed is None else market.speed.factor
        case VenueMarket():
            return market.timing.speed
        case _:
            return market.speed.factor
