"""Hypothesis strategies for facts and events, written by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st

from events.bot import (
    BotClaimed,
    BotCreated,
    BotHalted,
    BotNoticed,
    BotPaused,
    BotStarted,
    BotStopped,
    CapitalDeposited,
    CapitalWithdrawn,
    DecisionMade,
    OrderAccepted,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderRequested,
)
from events.envelope import Fact, Metadata, NewEvent
from events.identifiers import EventId
from events.system import (
    CheckpointSigned,
    ProjectionEventSkipped,
    ProjectionRebuilt,
    RangeArchived,
    StreamEnded,
    SubjectErased,
)
from events.user import CredentialChanged, SignInFailed, SignInSucceeded, UserCreated
from events.values import (
    Bracket,
    EncryptedText,
    FeeSchedule,
    Instrument,
    MarketReference,
    Measurement,
    Parameter,
    RiskLimits,
    StrategyReference,
)

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # given a zone
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
SYMBOLS = st.sampled_from(["BTC/USDT", "ETH/USDT", "DOGE/USDT"])
AMOUNTS = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False)
FRACTIONS = st.decimals(min_value=0, max_value=1, places=6)
EVENT_IDS = st.uuids(version=4).map(EventId)

PARAMETERS = st.lists(st.builds(Parameter, name=NAMES, value=TEXTS), max_size=3).map(tuple)
MEASUREMENTS = st.lists(
    st.builds(Measurement, name=NAMES, value=st.floats(allow_nan=False, allow_infinity=False)), max_size=3
).map(tuple)
INSTRUMENTS = st.builds(Instrument, symbol=SYMBOLS, tick=AMOUNTS, lot=AMOUNTS, minimum_notional=AMOUNTS)
MARKETS = st.builds(
    MarketReference,
    venue=NAMES,
    timeframe=st.sampled_from(["1m", "5m", "1h"]),
    begins_at=MOMENTS,
    instruments=st.lists(INSTRUMENTS, max_size=3).map(tuple),
)
STRATEGIES = st.builds(StrategyReference, name=NAMES, version=st.integers(1, 9), parameters=PARAMETERS)
LIMITS = st.builds(
    RiskLimits, position_fraction_max=FRACTIONS, positions_max=st.integers(1, 50), exposure_fraction_max=FRACTIONS
)
BRACKETS = st.builds(Bracket, stop_fraction=FRACTIONS, target_fraction=FRACTIONS)
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
        fees=st.builds(FeeSchedule, maker=FRACTIONS, taker=FRACTIONS),
        quote=st.just("USDT"),
    ),
    st.builds(BotNoticed, at=MOMENTS),
    st.builds(BotClaimed, epoch=st.integers(1, 2**62), holder=NAMES),
    st.builds(BotStarted, effective_at=st.none() | MOMENTS),
    st.builds(BotPaused, reason=TEXTS, effective_at=st.none() | MOMENTS),
    st.builds(BotStopped, reason=TEXTS, effective_at=st.none() | MOMENTS),
    st.builds(BotHalted, rule=NAMES, reason=TEXTS),
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
        intent=st.sampled_from(["enter_long", "exit"]),
        mark=AMOUNTS,
        equity=AMOUNTS,
    ),
)
ORDERS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        OrderRequested,
        order_id=NAMES,
        at=MOMENTS,
        symbol=SYMBOLS,
        side=st.sampled_from(["buy", "sell"]),
        kind=st.sampled_from(["market", "limit", "stop", "take_profit"]),
        reason=st.sampled_from(["entry", "exit_signal", "stop_loss", "take_profit"]),
        quantity=st.none() | AMOUNTS,
        notional=st.none() | AMOUNTS,
        trigger_price=st.none() | AMOUNTS,
        bracket=st.none() | BRACKETS,
        reduce_only=st.booleans(),
        decision_id=st.none() | NAMES,
        parent_id=st.none() | NAMES,
    ),
    st.builds(OrderDenied, decision_id=NAMES, at=MOMENTS, symbol=SYMBOLS, rule=NAMES, limit=AMOUNTS, value=AMOUNTS),
    st.builds(OrderAccepted, order_id=NAMES, at=MOMENTS, venue_order_id=TEXTS),
    st.builds(OrderRejected, order_id=NAMES, at=MOMENTS, reason=TEXTS),
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
    ),
    st.builds(OrderCancelled, order_id=NAMES, at=MOMENTS, reason=TEXTS),
    st.builds(OrderExpired, order_id=NAMES, at=MOMENTS, reason=TEXTS),
)
USERS: Sequence[st.SearchStrategy[Fact]] = (
    st.builds(
        UserCreated,
        username=st.just("") | NAMES,
        role=st.sampled_from(["viewer", "trader", "admin"]),
        sealed_username=st.none() | SEALED,
    ),
    st.just(CredentialChanged()),
    st.just(SignInSucceeded()),
    st.just(SignInFailed()),
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

FACTS: st.SearchStrategy[Fact] = st.one_of(*LIFECYCLE, *CAPITAL, *DECISIONS, *ORDERS, *USERS, *SYSTEM)
"""Any fact of any type."""

METADATA = st.builds(Metadata, actor=TEXTS, correlation_id=st.none() | st.uuids(), causation_id=st.none() | st.uuids())
NEW_EVENTS = st.builds(NewEvent, event_id=EVENT_IDS, occurred_at=MOMENTS, fact=FACTS, metadata=METADATA)
"""Any event on its way into the log."""
