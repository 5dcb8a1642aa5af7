"""Hypothesis strategies for facts and events, written by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

from hypothesis import strategies as st

from events.account import (
    AccountArmed,
    AccountClaimed,
    AccountDisarmed,
    AccountGranted,
    AccountIdentified,
    AccountKeysSet,
    AccountKillDone,
    AccountKillRequested,
    AccountOpened,
    AccountReconciled,
    AccountUnreconciled,
    KillPolicy,
    LeverageConfirmed,
    StrangerKind,
    StrangerSeen,
)
from events.advice import (
    AbstainReason,
    AdviceAbstained,
    AdviceClass,
    AdviceLapsed,
    AdviceReceived,
    AdviceRequested,
    AdviceTaken,
    Opinion,
    OpinionAction,
    Refusal,
    Sentiment,
    Usage,
)
from events.alerts import AlertCleared, AlertRaised
from events.bot import (
    BotArchived,
    BotArmed,
    BotClaimed,
    BotConfigured,
    BotCreated,
    BotDisarmed,
    BotHalted,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    DayOpened,
    DecisionMade,
    ExitOrdered,
    FundingSettled,
    HighWaterRaised,
    Intent,
    OrderAccepted,
    OrderAmended,
    OrderAmendRequested,
    OrderCancelled,
    OrderCancelRejected,
    OrderCancelRequested,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInDoubt,
    OrderReason,
    OrderRejected,
    OrderRequested,
    OrderSubmitted,
    OrderTriggered,
    PositionLiquidated,
    TermsTaken,
    TradingState,
    TradingStateSet,
    TradingStateTripped,
)
from events.envelope import Fact, Metadata, NewEvent
from events.fleet import FleetSwitched
from events.identifiers import EventId
from events.models import ModelCallBegun, ModelCallEnded, ModelRouteClosed, ModelRouteOpened, ModelsClaimed
from events.news import NewsEvent, NewsExtracted, NewsReceived, NewsRefused, NewsSourceFailed, NewsSourceRecovered
from events.security import AttemptsRefused, SigningKeyRotated
from events.system import (
    CheckpointSigned,
    ProjectionEventSkipped,
    ProjectionRebuilt,
    RangeArchived,
    StreamEnded,
    SubjectErased,
)
from events.user import (
    ApiTokenIssued,
    ApiTokenRevoked,
    CredentialChanged,
    SessionEnded,
    SignInFailed,
    SignInSucceeded,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserRoleChanged,
)
from events.values import (
    Bracket,
    EncryptedText,
    FeeSchedule,
    Instrument,
    MarketReference,
    Measurement,
    OrderKind,
    PaperModel,
    Parameter,
    ProfitGuard,
    RiskLimits,
    ScaleOut,
    Sizing,
    SizingMethod,
    StopGuard,
    StrategyReference,
    TimeInForce,
)
from events.venue import MarketCandleRevised, MarketGapFound, MarketRecovered, MarketStale

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # given a zone
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
SYMBOLS = st.sampled_from(["BTC/USDT", "ETH/USDT", "DOGE/USDT"])
AMOUNTS = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False)
SIGNED = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, allow_infinity=False)
FRACTIONS = st.decimals(min_value=0, max_value=1, places=6)
LEVERAGES = st.integers(1, 125).map(Decimal)
COUNTS = st.integers(1, 10_000)
SIDES = st.sampled_from(["buy", "sell"])
POSITION_SIDES = st.sampled_from(["long", "short"])
TRADING_STATES = st.sampled_from(get_args(TradingState))
EVENT_IDS = st.uuids(version=4).map(EventId)

PARAMETERS = st.lists(st.builds(Parameter, name=NAMES, value=TEXTS), max_size=3).map(tuple)
MEASUREMENTS = st.lists(
    st.builds(Measurement, name=NAMES, value=st.floats(allow_nan=False, allow_infinity=False)), max_size=3
).map(tuple)
INSTRUMENTS = st.builds(
    Instrument,
    symbol=SYMBOLS,
    tick=AMOUNTS,
    lot=AMOUNTS,
    minimum_notional=AMOUNTS,
    kind=st.sampled_from(["spot", "perpetual"]),
    contract_size=AMOUNTS,
    leverage_max=LEVERAGES,
    maintenance_fraction=FRACTIONS,
    liquidation_fee=FRACTIONS,
    funding_interval_hours=st.integers(1, 24),
)
MARKETS = st.builds(
    MarketReference,
    venue=NAMES,
    timeframe=st.sampled_from(["1m", "5m", "1h"]),
    begins_at=MOMENTS,
    instruments=st.lists(INSTRUMENTS, max_size=3).map(tuple),
)
STRATEGIES = st.builds(StrategyReference, name=NAMES, version=st.integers(1, 9), parameters=PARAMETERS)
STOP_GUARDS = st.builds(
    StopGuard, stops_max=COUNTS, lookback_candles=COUNTS, pause_candles=COUNTS, per_symbol=st.booleans()
)
PROFIT_GUARDS = st.builds(
    ProfitGuard, trades_min=COUNTS, lookback_candles=COUNTS, return_min=SIGNED, pause_candles=COUNTS
)
_FRACTION_LIMITS = (
    "net_exposure_fraction_max", "correlated_exposure_fraction_max", "notional_min", "stop_distance_min",
    "stop_distance_max", "reward_risk_min", "reward_fees_min", "liquidation_distance_min", "confidence_min",
    "drawdown_max", "daily_loss_max", "fleet_exposure_max", "fleet_net_exposure_max",
)  # fmt: skip
_COUNT_LIMITS = ("trades_per_day_max", "entries_per_cycle_max", "cooldown_candles")
LIMITS = st.builds(
    RiskLimits,
    position_fraction_max=FRACTIONS,
    positions_max=st.integers(1, 50),
    exposure_fraction_max=FRACTIONS,
    correlation_min=FRACTIONS,
    leverage_max=LEVERAGES,
    stop_guard=st.none() | STOP_GUARDS,
    profit_guard=st.none() | PROFIT_GUARDS,
    **dict.fromkeys(_FRACTION_LIMITS, st.none() | FRACTIONS),
    **dict.fromkeys(_COUNT_LIMITS, st.none() | COUNTS),
)
FEES = st.builds(FeeSchedule, maker=FRACTIONS, taker=FRACTIONS, buys_pay_in=st.sampled_from(["quote", "base"]))
SIZINGS = st.builds(
    Sizing,
    method=st.sampled_from(get_args(SizingMethod)),
    risk_fraction=FRACTIONS,
    kelly_min=FRACTIONS,
    kelly_max=FRACTIONS,
    kelly_trades_min=COUNTS,
)
PAPERS = st.builds(
    PaperModel,
    half_spread=FRACTIONS,
    slippage_factor=FRACTIONS,
    slippage_max=FRACTIONS,
    slippage_jitter=FRACTIONS,
    participation_max=st.none() | FRACTIONS,
    latency_candles=COUNTS,
    latency_milliseconds=COUNTS,
    funding_rate=SIGNED,
    seed=st.integers(0, 2**62),
)
BRACKETS = st.builds(
    Bracket,
    stop_fraction=FRACTIONS,
    target_fraction=FRACTIONS,
    stop_price=st.none() | AMOUNTS,
    target_price=st.none() | AMOUNTS,
    trailing_fraction=st.none() | FRACTIONS,
    trailing_activation=FRACTIONS,
    candles_max=st.none() | COUNTS,
    scale_out=st.lists(st.builds(ScaleOut, target_fraction=FRACTIONS, share=FRACTIONS), max_size=2).map(tuple),
)
SEALED = st.builds(
    EncryptedText,
    subject=NAMES,
    key_id=NAMES,
    nonce=st.binary(min_size=12, max_size=12),
    ciphertext=st.binary(min_size=16, max_size=80),
)

LIFECYCLE: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        BotCreated,
        bot_id=NAMES,
        fleet=NAMES,
        name=TEXTS,
        strategy=STRATEGIES,
        market=MARKETS,
        limits=LIMITS,
        fees=FEES,
        quote=st.just("USDT"),
        sizing=st.none() | SIZINGS,
        paper=st.none() | PAPERS,
        leverage=st.none() | LEVERAGES,
        account=st.none() | NAMES,
        owner=st.just("") | NAMES,
    ),
    st.builds(BotArmed, until=MOMENTS, apart=st.booleans()),
    st.builds(BotDisarmed, reason=TEXTS),
    st.builds(BotNoticed, at=MOMENTS),
    st.builds(BotClaimed, epoch=st.integers(1, 2**62), holder=NAMES),
    st.builds(BotStarted, effective_at=st.none() | MOMENTS),
    st.builds(BotPaused, reason=TEXTS, effective_at=st.none() | MOMENTS),
    st.builds(BotStopped, reason=TEXTS, effective_at=st.none() | MOMENTS, policy=st.sampled_from(["close", "keep"])),
    st.builds(BotArchived, reason=TEXTS),
    st.builds(
        BotConfigured,
        name=st.none() | TEXTS,
        strategy=st.none() | STRATEGIES,
        limits=st.none() | LIMITS,
        sizing=st.none() | SIZINGS,
    ),
    st.builds(TermsTaken, at=MOMENTS),
    st.builds(ExitOrdered, symbols=st.lists(SYMBOLS, max_size=3).map(tuple), reason=TEXTS),
    st.builds(BotHalted, rule=NAMES, reason=TEXTS),
    st.builds(
        TradingStateSet,
        state=TRADING_STATES,
        reason=TEXTS,
        scope=st.sampled_from(["bot", "fleet"]),
        effective_at=st.none() | MOMENTS,
    ),
    st.builds(TradingStateTripped, at=MOMENTS, state=TRADING_STATES, rule=NAMES, limit=AMOUNTS, value=AMOUNTS),
    st.builds(HighWaterRaised, at=MOMENTS, equity=AMOUNTS),
    st.builds(DayOpened, at=MOMENTS, equity=AMOUNTS),
)
CAPITAL: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(CapitalDeposited, amount=AMOUNTS, reference=TEXTS),
    st.builds(CapitalWithdrawn, amount=AMOUNTS, reference=TEXTS),
)
DECISIONS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        DecisionMade,
        decision_id=NAMES,
        at=MOMENTS,
        venue=NAMES,
        symbol=SYMBOLS,
        timeframe=st.just("5m"),
        window=st.integers(1, 1000),
        window_digest=st.text("0123456789abcdef", min_size=64, max_size=64),
        strategy=NAMES,
        strategy_version=st.integers(1, 9),
        parameters=PARAMETERS,
        measurements=MEASUREMENTS,
        intent=st.sampled_from(get_args(Intent)),
        mark=AMOUNTS,
        equity=AMOUNTS,
        size_fraction=st.none() | FRACTIONS,
        entry_price=st.none() | AMOUNTS,
        stop_loss=st.none() | AMOUNTS,
        take_profit=st.none() | AMOUNTS,
        confidence=st.none() | FRACTIONS,
        setup=TEXTS,
        reason=TEXTS,
        fleet_exposure=st.none() | AMOUNTS,
        fleet_net_exposure=st.none() | SIGNED,
        fleet_equity=st.none() | AMOUNTS,
        data_fault=TEXTS,
        advice_id=st.none() | NAMES,
        account_fault=TEXTS,
    ),
)
ORDERS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        OrderRequested,
        order_id=NAMES,
        at=MOMENTS,
        symbol=SYMBOLS,
        side=SIDES,
        kind=st.sampled_from(get_args(OrderKind)),
        reason=st.sampled_from(get_args(OrderReason)),
        quantity=st.none() | AMOUNTS,
        notional=st.none() | AMOUNTS,
        trigger_price=st.none() | AMOUNTS,
        bracket=st.none() | BRACKETS,
        reduce_only=st.booleans(),
        decision_id=st.none() | NAMES,
        parent_id=st.none() | NAMES,
        limit_price=st.none() | AMOUNTS,
        time_in_force=st.sampled_from(get_args(TimeInForce)),
        post_only=st.booleans(),
        trailing_fraction=st.none() | FRACTIONS,
        oco_group=TEXTS,
        activation_price=st.none() | AMOUNTS,
        expires_at=st.none() | MOMENTS,
        leverage=st.none() | LEVERAGES,
        at_close=st.booleans(),
    ),
    st.builds(
        OrderDenied,
        decision_id=NAMES,
        at=MOMENTS,
        symbol=SYMBOLS,
        rule=NAMES,
        limit=AMOUNTS,
        value=AMOUNTS,
        reason=TEXTS,
    ),
    st.builds(
        OrderSubmitted,
        order_id=NAMES,
        at=MOMENTS,
        client_id=NAMES,
        expires_at=MOMENTS,
        quantity=AMOUNTS,
        limit_price=st.none() | AMOUNTS,
        trigger_price=st.none() | AMOUNTS,
        attempt=COUNTS,
    ),
    st.builds(OrderAccepted, order_id=NAMES, at=MOMENTS, venue_order_id=TEXTS),
    st.builds(OrderRejected, order_id=NAMES, at=MOMENTS, reason=TEXTS),
    st.builds(OrderInDoubt, order_id=NAMES, at=MOMENTS, reason=TEXTS),
    st.builds(OrderTriggered, order_id=NAMES, at=MOMENTS),
    st.builds(
        OrderAmended,
        order_id=NAMES,
        at=MOMENTS,
        reason=TEXTS,
        quantity=st.none() | AMOUNTS,
        limit_price=st.none() | AMOUNTS,
        trigger_price=st.none() | AMOUNTS,
    ),
    st.builds(
        OrderAmendRequested,
        order_id=NAMES,
        at=MOMENTS,
        reason=TEXTS,
        quantity=st.none() | AMOUNTS,
        limit_price=st.none() | AMOUNTS,
        trigger_price=st.none() | AMOUNTS,
    ),
    st.builds(OrderCancelRequested, order_id=NAMES, at=MOMENTS, reason=TEXTS, at_close=st.booleans()),
    st.builds(OrderCancelRejected, order_id=NAMES, at=MOMENTS, reason=TEXTS),
    st.builds(
        OrderFilled,
        order_id=NAMES,
        fill_id=NAMES,
        at=MOMENTS,
        quantity=AMOUNTS,
        price=AMOUNTS,
        fee=AMOUNTS,
        liquidity=st.sampled_from(["maker", "taker"]),
        complete=st.booleans(),
        fee_in=st.sampled_from(["quote", "base"]),
        other_fee=st.none() | AMOUNTS,
        other_fee_currency=NAMES,
    ),
    st.builds(OrderCancelled, order_id=NAMES, at=MOMENTS, reason=TEXTS),
    st.builds(OrderExpired, order_id=NAMES, at=MOMENTS, reason=TEXTS),
)
POSITIONS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        FundingSettled,
        symbol=SYMBOLS,
        at=MOMENTS,
        rate=st.none() | SIGNED,
        mark=st.none() | AMOUNTS,
        quantity=SIGNED,
        amount=SIGNED,
    ),
    st.builds(
        PositionLiquidated,
        symbol=SYMBOLS,
        at=MOMENTS,
        side=POSITION_SIDES,
        quantity=AMOUNTS,
        price=AMOUNTS,
        fee=AMOUNTS,
        covered=AMOUNTS,
        part=st.booleans(),
        fill_id=st.sampled_from(["", "BTC-USDT-SWAP:1:2"]),
    ),
)
OPINIONS = st.builds(
    Opinion,
    symbol=SYMBOLS,
    action=st.sampled_from(get_args(OpinionAction)),
    weight=st.integers(0, 10_000),
    confidence=st.integers(0, 100),
    horizon=COUNTS,
    invalidation=st.none() | AMOUNTS,
    reason=TEXTS,
)
USAGES = st.builds(Usage, input=COUNTS, output=COUNTS, cached=COUNTS)
SENTIMENTS = st.builds(
    Sentiment,
    symbol=SYMBOLS,
    score=st.decimals(min_value=-2, max_value=2, places=4),
    items=COUNTS,
    age_minutes=st.integers(0, 10_000),
)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
ADVICE: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        AdviceRequested,
        advice_id=NAMES,
        at=MOMENTS,
        model=NAMES,
        template=NAMES,
        template_version=COUNTS,
        snapshot=st.text("0123456789abcdef", min_size=32, max_size=32),
        symbols=st.lists(SYMBOLS, min_size=1, unique=True).map(tuple),
        advice_class=st.sampled_from(get_args(AdviceClass)),
        expires_at=MOMENTS,
        parameters=PARAMETERS,
        sentiments=st.lists(SENTIMENTS, max_size=2).map(tuple),
    ),
    st.builds(
        AdviceReceived,
        advice_id=NAMES,
        at=MOMENTS,
        answer=HASHES,
        prompt=HASHES,
        resolved_model=NAMES,
        opinions=st.lists(OPINIONS, max_size=3).map(tuple),
        refusals=st.lists(st.builds(Refusal, item=st.integers(0, 16), fault=TEXTS), max_size=2).map(tuple),
        usage=USAGES,
        cost=AMOUNTS,
        latency_ms=COUNTS,
        attempts=COUNTS,
        repaired=st.booleans(),
        shared_by=COUNTS,
    ),
    st.builds(
        AdviceAbstained,
        advice_id=NAMES,
        at=MOMENTS,
        reason=st.sampled_from(get_args(AbstainReason)),
        detail=TEXTS,
        answer=st.none() | HASHES,
        prompt=st.none() | HASHES,
        resolved_model=TEXTS,
        usage=USAGES,
        cost=AMOUNTS,
        latency_ms=COUNTS,
        attempts=st.integers(0, 9),
        shared_by=COUNTS,
    ),
    st.builds(AdviceTaken, advice_id=NAMES, at=MOMENTS, stale=st.booleans()),
    st.builds(AdviceLapsed, advice_id=NAMES, at=MOMENTS),
)
BOTS = (*LIFECYCLE, *CAPITAL, *DECISIONS, *ORDERS, *POSITIONS, *ADVICE)
"""One strategy per fact of a bot."""

USERS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        UserCreated,
        username=st.just("") | NAMES,
        role=st.sampled_from(["viewer", "trader", "admin"]),
        sealed_username=st.none() | SEALED,
    ),
    st.just(CredentialChanged()),
    st.builds(SignInSucceeded, session_id=st.just("") | NAMES),
    st.builds(SignInFailed, attempts=st.integers(1, 1000)),
    st.builds(
        SessionEnded,
        session_id=NAMES,
        why=st.sampled_from(["signed_out", "ended", "replaced", "refresh_reused"]),
    ),
    st.builds(UserRoleChanged, role=st.sampled_from(["viewer", "trader", "admin"])),
    st.just(UserDisabled()),
    st.just(UserEnabled()),
    st.builds(
        ApiTokenIssued,
        token_id=NAMES,
        scopes=st.lists(st.sampled_from(["read", "trade", "admin", "metrics"]), unique=True).map(tuple),
        expires_at=MOMENTS,
    ),
    st.builds(ApiTokenRevoked, token_id=NAMES, why=st.sampled_from(["revoked", "expired"])),
)

SECURITY: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        AttemptsRefused,
        attempt=st.sampled_from(
            ["sign_in_throttled", "unknown_name", "refresh_unknown", "refresh_throttled", "cross_site_refresh"]
        ),
        attempts=COUNTS,
        addresses=COUNTS,
        since=MOMENTS,
        until=MOMENTS,
    ),
    st.builds(SigningKeyRotated, key_id=NAMES, retired=NAMES, at_once=st.booleans()),
)

RULES = st.sampled_from(
    ["projection_stopped", "projection_lag", "bot_failing", "slow_cycle", "feed_late", "doubt_lasts"]
)
ALERTS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        AlertRaised,
        at=MOMENTS,
        rule=RULES,
        subject=NAMES,
        value=st.none() | SIGNED,
        threshold=st.none() | AMOUNTS,
        words=TEXTS,
        owner=st.none() | NAMES,
    ),
    st.builds(AlertCleared, at=MOMENTS, rule=RULES, subject=NAMES, owner=st.none() | NAMES),
)

SYSTEM: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(CheckpointSigned, tree_size=st.integers(0, 2**62), root=TEXTS, note=TEXTS),
    st.builds(
        ProjectionRebuilt, projection=TEXTS, projection_version=st.integers(1, 1000), position=st.integers(0, 2**62)
    ),
    st.builds(ProjectionEventSkipped, projection=TEXTS, position=st.integers(1, 2**62), reason=TEXTS),
    st.builds(SubjectErased, subject=TEXTS, reason=TEXTS),
    st.builds(
        RangeArchived,
        first_position=st.integers(1, 2**62),
        last_position=st.integers(1, 2**62),
        manifest_sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    ),
    st.builds(StreamEnded, reason=TEXTS),
)
"""One strategy per fact of the installation."""

FLEETS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(FleetSwitched, state=st.sampled_from(["active", "reducing", "halted"]), reason=TEXTS),
)
"""One strategy per fact of a fleet."""

ACCOUNTS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(AccountOpened, account=NAMES, venue=NAMES, demo=st.booleans()),
    st.builds(AccountKeysSet, fingerprint=NAMES),
    st.builds(AccountGranted, owner=NAMES),
    st.builds(AccountClaimed, epoch=st.integers(1, 2**62), holder=NAMES),
    st.builds(AccountArmed, until=MOMENTS),
    st.builds(AccountDisarmed, reason=TEXTS),
    st.builds(
        AccountReconciled,
        at=MOMENTS,
        epoch=st.integers(1, 2**62),
        position=st.integers(0, 2**62),
        orders=COUNTS,
        fills_adopted=COUNTS,
    ),
    st.builds(AccountUnreconciled, at=MOMENTS, epoch=st.integers(1, 2**62), reason=TEXTS),
    st.builds(
        StrangerSeen,
        at=MOMENTS,
        kind=st.sampled_from(get_args(StrangerKind)),
        reference=NAMES,
        symbol=st.none() | SYMBOLS,
        quantity=st.none() | SIGNED,
        words=TEXTS,
    ),
    st.builds(AccountIdentified, at=MOMENTS, epoch=st.integers(1, 2**62), identity=NAMES),
    st.builds(LeverageConfirmed, at=MOMENTS, symbol=SYMBOLS, leverage=LEVERAGES),
    st.builds(AccountKillRequested, at=MOMENTS, policy=st.sampled_from(get_args(KillPolicy)), reason=TEXTS),
    st.builds(
        AccountKillDone,
        at=MOMENTS,
        policy=st.sampled_from(get_args(KillPolicy)),
        cancelled=COUNTS,
        closed=COUNTS,
        left=st.lists(TEXTS, max_size=3).map(tuple),
    ),
)
"""One strategy per fact of an account at a venue."""

VENUES: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(MarketStale, at=MOMENTS, symbol=SYMBOLS, timeframe=NAMES, expected=MOMENTS, reason=TEXTS),
    st.builds(MarketGapFound, at=MOMENTS, symbol=SYMBOLS, timeframe=NAMES, first=MOMENTS, last=MOMENTS),
    st.builds(MarketRecovered, at=MOMENTS, symbol=SYMBOLS, timeframe=NAMES, backfilled=COUNTS),
    st.builds(MarketCandleRevised, at=MOMENTS, symbol=SYMBOLS, timeframe=NAMES, open_time=MOMENTS, words=TEXTS),
)
"""One strategy per fact of a venue's market."""

MODELS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(ModelsClaimed, epoch=st.integers(1, 2**62), holder=NAMES),
    st.builds(
        ModelCallBegun,
        call_id=NAMES,
        at=MOMENTS,
        model=NAMES,
        provider_model=NAMES,
        prompt=HASHES,
        attempt=COUNTS,
        reserved=AMOUNTS,
        reserved_tokens=COUNTS,
        shares=st.lists(NAMES, max_size=3).map(tuple),
        price_version=NAMES,
        advice=st.lists(NAMES, max_size=3).map(tuple),
    ),
    st.builds(
        ModelCallEnded,
        call_id=NAMES,
        at=MOMENTS,
        outcome=st.sampled_from(["answered", *get_args(AbstainReason)]),
        status=st.none() | st.integers(100, 599),
        detail=TEXTS,
        answer=st.none() | HASHES,
        resolved_model=TEXTS,
        request_id=TEXTS,
        finish_reason=TEXTS,
        usage=USAGES,
        cost=AMOUNTS,
        latency_ms=COUNTS,
        retry_after=st.integers(0, 3600),
    ),
    st.builds(
        ModelRouteClosed,
        model=NAMES,
        at=MOMENTS,
        cause=st.sampled_from(["infrastructure", "quality", "settings"]),
        detail=TEXTS,
        until=st.none() | MOMENTS,
        template=TEXTS,
    ),
    st.builds(ModelRouteOpened, model=NAMES, at=MOMENTS, template=TEXTS),
)
"""One strategy per fact of the models."""

NEWS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        NewsReceived,
        item_id=NAMES,
        source=NAMES,
        body=HASHES,
        received_at=MOMENTS,
        published_at=st.none() | MOMENTS,
    ),
    st.builds(
        NewsExtracted,
        item_id=NAMES,
        at=MOMENTS,
        symbols=st.lists(SYMBOLS, max_size=3, unique=True).map(tuple),
        sentiment=st.sampled_from([-2, -1, 0, 1, 2]),
        event=st.sampled_from(get_args(NewsEvent)),
        novelty=st.sampled_from([0, 1, 2, 3]),
        extractor=NAMES,
        answer=st.none() | HASHES,
    ),
    st.builds(NewsRefused, item_id=NAMES, at=MOMENTS, fault=TEXTS),
    st.builds(NewsSourceFailed, source=NAMES, at=MOMENTS, fault=TEXTS),
    st.builds(NewsSourceRecovered, source=NAMES, at=MOMENTS),
)
"""One strategy per fact of a source of news."""

FACTS: st.SearchStrategy[Fact] = st.one_of(
    *BOTS, *FLEETS, *ACCOUNTS, *VENUES, *USERS, *SYSTEM, *MODELS, *NEWS, *SECURITY, *ALERTS
)
"""Any fact of any type."""

METADATA = st.builds(Metadata, actor=TEXTS, correlation_id=st.none() | st.uuids(), causation_id=st.none() | st.uuids())
NEW_EVENTS = st.builds(NewEvent, event_id=EVENT_IDS, occurred_at=MOMENTS, fact=FACTS, metadata=METADATA)
"""Any event on its way into the log."""
