"""The whole API over stores of the test's choice: real use cases, a real projector, a client for each role."""

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
from starlette.applications import Starlette

from events.checkpoint import SignerKey, origin_of
from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import BotId, FleetName, ModelName, StreamId, Symbol, VenueName, new_event_id
from events.log import ANY_VERSION, EventLog
from events.memory import MemoryEventLog
from events.user import Role
from events.values import FeeSchedule, Instrument
from oxbot.adapters.aes_gcm_answers import AesGcmAnswers
from oxbot.adapters.aes_gcm_subject_keys import AesGcmSubjectKeys
from oxbot.adapters.argon2_passwords import Argon2Passwords
from oxbot.adapters.memory_bodies import MemoryBodies
from oxbot.adapters.memory_candles import MemoryCandleStore
from oxbot.adapters.memory_event_counts import MemoryEventCounts
from oxbot.adapters.memory_failing_bots import MemoryFailingBots
from oxbot.adapters.memory_idempotency import MemoryIdempotency
from oxbot.adapters.memory_pasts import MemoryPasts
from oxbot.adapters.memory_seal import MemorySeal
from oxbot.adapters.memory_subject_keys import MemoryKeyTable
from oxbot.adapters.memory_tree import MemoryTree
from oxbot.adapters.memory_venue_credentials import MemoryCredentialsTable
from oxbot.adapters.memory_views import MemoryViews
from oxbot.api.app import create_app
from oxbot.api.reads import Reads, ReadSources, reads_over
from oxbot.api.services import Services
from oxbot.api.sign_in_limit import SignInLimit
from oxbot.api.tokens import SignedIn, Tokens, one_key
from oxbot.app.access import BotOwners
from oxbot.app.account_directory import AccountDirectory, AccountFailures
from oxbot.app.account_report import AccountReader
from oxbot.app.accounts import Accounts
from oxbot.app.api_tokens import ApiTokens
from oxbot.app.arena import ArenaReader
from oxbot.app.audit_proof import Prover
from oxbot.app.bots import BotCommands
from oxbot.app.clock import SystemClock
from oxbot.app.equity import EquityReader
from oxbot.app.idempotency import IdempotencyStore
from oxbot.app.live_stream import LiveStream, StreamLimits
from oxbot.app.models.known import KnownModel, ModelTable
from oxbot.app.past import BotHistory
from oxbot.app.privacy import Privacy
from oxbot.app.projection import ProjectionRunner
from oxbot.app.projections import Projections
from oxbot.app.readiness import Check
from oxbot.app.revocations import Revocations
from oxbot.app.sealer import Sealer
from oxbot.app.security_log import SecurityLog
from oxbot.app.sessions import Sessions
from oxbot.app.venue_accounts import VenueAccounts
from oxbot.app.vitals import VitalReader, VitalSources
from oxbot.config import Secret
from oxbot.core.account import UserId
from oxbot.core.bot import BotDecider
from oxbot.core.strategies import built_in
from oxbot.views.fold import row_change
from oxbot.views.rows import Row
from oxbot.wiring.venue_accounts import check_venue
from oxbot.wiring.venue_keys import SealedKeys
from tests.api.people import PeopleStores, memory_people
from tests.app.stored_views import plant

BTC = Symbol("BTC/USDT")
ETH = Symbol("ETH/USDT")
VENUE = VenueName("test")
START = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
CUTOFF = date(2024, 1, 1)
KEY = bytes(range(32))
BOT = BotId("bot-1")
POSITION_SECONDS = 0.3

Json = dict[str, object]


class QuietMarket:
    """A market of two symbols whose next candle opens at ``START``."""

    venue = VENUE
    timeframe = "5m"
    instruments = tuple(Instrument(symbol=symbol, tick=Decimal("0.01"), lot=Decimal("0.001")) for symbol in (BTC, ETH))

    async def next_open(self) -> datetime:
        """Always the same."""
        return START


class FirstDay:
    """``MarketTime`` of a market that is a day old."""

    async def closed_before(self, venue: str) -> datetime:
        """The same for every venue."""
        assert venue == VENUE
        return START + timedelta(days=1)


class GivenReadiness:
    """``Readiness`` with the outcomes that a test gives it."""

    def __init__(self) -> None:
        self.checks = [Check("database", ok=True, detail="answers")]

    async def check(self) -> Sequence[Check]:
        """The given outcomes."""
        return self.checks


class Stage:
    """The application with everything behind it, in memory unless another store is given."""

    def __init__(self, *, log: EventLog | None = None, people: PeopleStores | None = None) -> None:
        in_memory = MemoryEventLog(Codec())
        self.log = log or in_memory
        self.tree = MemoryTree(in_memory, Codec())
        self.seal_memory = MemorySeal()
        self.views = MemoryViews(self.log)
        self.projections = Projections(self.log, self.views, wait_seconds=POSITION_SECONDS)
        self.candles = MemoryCandleStore()
        self.bodies = MemoryBodies()
        self.pasts = MemoryPasts(self.log)
        self.pasts_every = 7
        self.models = ModelTable([KnownModel(name=ModelName("deep"), provider_model="openai/deep", cutoff=CUTOFF)])
        self.readiness = GivenReadiness()
        self.failing = MemoryFailingBots()
        self.idempotency: IdempotencyStore = MemoryIdempotency()
        self.tokens = Tokens(one_key(KEY))
        self.secrets = [KEY]
        self.projection = ProjectionRunner(self.log, self.views)
        keys = AesGcmSubjectKeys(MemoryKeyTable(), KEY)
        self.people = people or memory_people()
        passwords = Argon2Passwords()
        self.accounts = Accounts(self.log, self.people.credentials, keys, passwords, now=now)
        self.answer_seals = AesGcmAnswers(passwords, lambda: self.secrets)
        self.privacy = Privacy(self.log, keys, self.people.credentials, now=now, actor="api")
        self.revocations = Revocations(self.log, now=now)
        self.security = SecurityLog(self.log, now=now)
        self.venue_keys = MemoryCredentialsTable()
        self.directory = AccountDirectory(self.log)
        self.venue_accounts = VenueAccounts(
            self.log,
            SealedKeys(self.venue_keys, Path("nowhere"), Secret(b64encode(KEY).decode())),
            check_venue=check_venue,
            now=now,
            actor="api",
        )
        self.stream_limits = StreamLimits(check_seconds=0.01)
        self.closed = False
        self.app: Starlette = create_app(self.open_services)

    @asynccontextmanager
    async def open_services(self) -> AsyncIterator[Services]:
        """What the application's lifespan opens and closes."""
        reads, owners = self.reads(), BotOwners(self.views, self.log)
        async with LiveStream(self.log, owners.of, self.stream_limits) as stream:
            yield self.services(reads, owners, stream)
        self.closed = True

    def services(self, reads: Reads, owners: BotOwners, stream: LiveStream) -> Services:
        """What a request reaches."""
        return Services(
            views=self.views,
            reads=reads,
            owners=owners,
            projections=self.projections,
            bots=BotCommands(
                self.log,
                BotDecider(built_in()),
                fleet=FleetName("test"),
                market=QuietMarket(),
                fees=FeeSchedule(maker=Decimal("0.001"), taker=Decimal("0.001")),
                now=now,
                actor="api",
                strategies=built_in(),
            ),
            strategies=built_in(),
            failing=AccountFailures(self.failing, self.directory),
            equity=EquityReader(self.views, self.candles, FirstDay()),
            arena=ArenaReader(self.views, EquityReader(self.views, self.candles, FirstDay()), self.models),
            accounts=self.accounts,
            venue_accounts=self.venue_accounts,
            account_reader=AccountReader(self.log, self.directory, BotDecider(built_in()), now=now),
            tokens=self.tokens,
            readiness=self.readiness,
            checkpoints=self.tree,
            prover=Prover(self.tree, self.tree, self.tree),
            sign_in_limit=SignInLimit(self.people.allowances, self.people.known_addresses, now=now),
            sessions=Sessions(self.people.sessions, self.accounts, secrets=lambda: self.secrets, now=now),
            api_tokens=ApiTokens(self.people.api_tokens, self.accounts, self.revocations, now=now),
            revocations=self.revocations,
            security=self.security,
            privacy=self.privacy,
            idempotency=self.idempotency,
            answer_seals=self.answer_seals,
            vitals=self.vitals(reads),
            stream=stream,
        )

    def vitals(self, reads: Reads) -> VitalReader:
        """What the metrics are made of."""
        return VitalReader(
            VitalSources(
                log=self.log,
                counts=MemoryEventCounts(self.log),
                views=self.views,
                projections=self.projections,
                failing=self.failing,
                quality=reads.quality,
                accounts=AccountReader(self.log, self.directory, BotDecider(built_in()), now=now),
            ),
            budget=self.models.budgets.fleet.usd_per_day,
            now=now,
        )

    def reads(self) -> Reads:
        """What the routes that only read are given."""
        return reads_over(
            ReadSources(
                log=self.log,
                views=self.views,
                candles=self.candles,
                market_time=FirstDay(),
                bodies=self.bodies,
                history=BotHistory(self.log, self.pasts, every=self.pasts_every),
                failing=self.failing,
                prover=Prover(self.tree, self.tree, self.tree),
            )
        )

    def client(
        self, role: Role | None = None, *, token: str | None = None, user: str | None = None
    ) -> httpx.AsyncClient:
        """A client that is signed in as somebody of that role, ``a-<role>`` unless it is said who, or a stranger."""
        if role is not None:
            token = self.tokens.issue(SignedIn(UserId(user or f"a-{role}"), role), at=now())
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False, client=("192.0.2.1", 4000))
        return httpx.AsyncClient(transport=transport, base_url="http://oxbot.test", headers=headers)

    async def project(self) -> None:
        """Bring the views up to the log."""
        await self.projection.catch_up()

    async def seal(self) -> SignerKey:
        """Sign a checkpoint of the log in memory; the key that signed it."""
        key = SignerKey(origin_of(await self.tree.log_id()), KEY)
        sealer = Sealer(
            self.log,
            self.tree,
            checkpoints=self.tree,
            memory=self.seal_memory,
            key=key,
            clock=SystemClock(),
            interval_seconds=1,
        )
        await sealer.seal()
        return key

    async def store(self, *rows: Row) -> None:
        """Put rows into the views as a projector would."""
        await plant(self.views, *(row_change(row) for row in rows))


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Stage]:
    """The stage with its application started, ended afterwards."""
    async with stage.app.router.lifespan_context(stage.app):
        yield stage


async def say(stage: Stage, stream: StreamId, *facts: Fact) -> None:
    """Append facts as they would be by whoever makes them."""
    events = [NewEvent(event_id=new_event_id(), occurred_at=now(), fact=fact) for fact in facts]
    await stage.log.append(stream, events, expected=ANY_VERSION)


def now() -> datetime:
    """The machine's time: tokens are verified against it."""
    return datetime.now(UTC)


def json(response: httpx.Response) -> Json:
    """The response's body, an object."""
    return msgspec.json.decode(response.content, type=Json)


def items(response: httpx.Response) -> list[Json]:
    """The items of a page."""
    return msgspec.convert(json(response)["items"], list[Json])


def problem(response: httpx.Response, status: int, kind: str) -> str:
    """The detail of a response that must be a problem of this status and kind, complete in every field."""
    body = json(response)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert set(body) - {"actual_version"} == {"type", "title", "status", "detail", "instance", "request_id"}
    assert body["type"] == f"urn:oxbot:problem:{kind}"
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    return str(body["detail"])
