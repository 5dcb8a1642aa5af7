"""Which alerts begin and end with which facts, who may see them, and in which order they stand."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from events.account import AccountReconciled, AccountUnreconciled, StrangerSeen
from events.advice import AdviceAbstained, AdviceReceived, Usage
from events.alerts import ALERTS_STREAM, AlertCleared, AlertRaised
from events.bot import (
    BotClaimed,
    BotHalted,
    BotStarted,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    OrderInDoubt,
    OrderRequested,
    TradingStateSet,
    TradingStateTripped,
)
from events.codec import FACT_TYPES
from events.envelope import Fact, Metadata, RecordedEvent
from events.identifiers import (
    MODELS_STREAM,
    AccountName,
    AdviceId,
    BodyHash,
    FillId,
    ModelName,
    OrderId,
    OwnerId,
    StreamId,
    VenueName,
    account_stream,
    bot_stream,
    new_event_id,
    venue_stream,
)
from events.models import ModelRouteClosed, ModelRouteOpened
from events.security import SECURITY_STREAM, AttemptsRefused
from events.venue import MarketRecovered, MarketStale
from oxbot.views.alert_rows import ADMINISTRATORS, ALL, EVERYBODY, AlertRow
from oxbot.views.alert_views import ALERTS, TYPES
from oxbot.views.meanings import ATTEMPTS_MAX
from tests.core.scenario import BOT, BTC, START, created, deposited

STREAM = bot_stream(BOT)
ORDER = OrderId("b-1")
ACCOUNT, VENUE = account_stream(AccountName("main")), venue_stream(VenueName("okx"))
DOUBT = OrderInDoubt(order_id=ORDER, at=START, reason="no answer")
HALTED = BotHalted(rule="venue", reason="wrong keys")
TRIPPED = TradingStateTripped(at=START, state="halted", rule="daily_loss", limit=Decimal("0.10"), value=Decimal("0.11"))


def rows_after(*facts: tuple[StreamId, Fact]) -> dict[str, list[AlertRow]]:
    """Every audience's alerts in the order in which they are read, after these facts at positions from 1 on."""
    events = [
        RecordedEvent(
            position, stream, position, new_event_id(), "", START, START + timedelta(minutes=position), fact, Metadata()
        )
        for position, (stream, fact) in enumerate(facts, start=1)
    ]
    fold, rows = ALERTS.fold(), dict[tuple[str, str], AlertRow]()
    for event in events:  # one by one, as books are stored between two batches
        folded = fold.apply([event])
        assert folded.poison is None
        fold = ALERTS.fold()
        fold.recall({**BOOKS, **folded.books})
        BOOKS.update(folded.books)
        for change in folded.changes:
            if change.body is None:
                del rows[change.owner, change.key]
            else:
                rows[change.owner, change.key] = msgspec.json.decode(change.body, type=AlertRow)
                assert rows[change.owner, change.key].key == change.key
    BOOKS.clear()
    found: dict[str, list[AlertRow]] = {}
    for (audience, _), row in sorted(rows.items(), reverse=True):
        found.setdefault(audience, []).append(row)
    return found


BOOKS: dict[str, bytes] = {}


def told(rows: Sequence[AlertRow]) -> list[tuple[str, str, bool]]:
    """What matters of alerts: rule, level, whether it goes on."""
    return [(row.rule, row.level, row.until is None) for row in rows]


BEGIN_AND_END: list[tuple[StreamId, Fact, Fact, str, str]] = [
    (STREAM, HALTED, BotStarted(), "bot_halted", "failure"),
    (STREAM, TRIPPED, TradingStateSet(state="active"), "trading_tripped", "warning"),
    (STREAM, DOUBT, OrderAccepted(order_id=ORDER, at=START), "order_in_doubt", "warning"),
    (STREAM, DOUBT, OrderCancelled(order_id=ORDER, at=START, reason="gone"), "order_in_doubt", "warning"),
    (
        STREAM,
        AdviceAbstained(advice_id=AdviceId("a"), at=START, reason="budget", detail="spent"),
        AdviceReceived(
            advice_id=AdviceId("b"),
            at=START,
            answer=BodyHash("ab" * 32),
            prompt=BodyHash("ab" * 32),
            resolved_model="m",
            opinions=(),
            usage=Usage(),
            cost=Decimal(0),
            latency_ms=1,
        ),
        "model_budget",
        "warning",
    ),
    (
        ACCOUNT,
        AccountUnreconciled(at=START, epoch=1, reason="a fill is missing"),
        AccountReconciled(at=START, epoch=1, position=1, orders=0),
        "account_unreconciled",
        "failure",
    ),
    (
        ACCOUNT,
        StrangerSeen(at=START, kind="balance", reference="BTC", quantity=Decimal(1)),
        StrangerSeen(at=START, kind="balance", reference="BTC", quantity=Decimal(0)),
        "stranger",
        "warning",
    ),
    (
        VENUE,
        MarketStale(at=START, symbol=BTC, timeframe="5m", expected=START),
        MarketRecovered(at=START, symbol=BTC, timeframe="5m", backfilled=1),
        "market_stale",
        "warning",
    ),
    (
        MODELS_STREAM,
        ModelRouteClosed(model=ModelName("deep"), at=START, cause="quality", detail="nonsense"),
        ModelRouteOpened(model=ModelName("deep"), at=START),
        "model_closed",
        "warning",
    ),
    (
        ALERTS_STREAM,
        AlertRaised(at=START, rule="feed_late", subject="okx BTC/USDT", owner=OwnerId("")),
        AlertCleared(at=START, rule="feed_late", subject="okx BTC/USDT"),
        "feed_late",
        "warning",
    ),
]


@pytest.mark.parametrize(("stream", "begin", "end", "rule", "level"), BEGIN_AND_END, ids=lambda one: str(one)[:20])
def test_an_alert_goes_on_from_the_fact_that_begins_it_to_the_one_that_ends_it(
    stream: StreamId, begin: Fact, end: Fact, rule: str, level: str
) -> None:
    during = rows_after((stream, begin), (stream, begin))[ALL]
    after = rows_after((stream, begin), (stream, begin), (stream, end), (stream, end))[ALL]

    assert told(during) == [(rule, level, True)]
    assert told(after) == [(rule, level, False)]
    assert (after[0].position, after[0].since, after[0].until) == (
        1, START + timedelta(minutes=1), START + timedelta(minutes=3),
    )  # fmt: skip


def test_what_an_alert_measures_is_told_beside_its_threshold() -> None:
    [row] = rows_after((STREAM, created()), (STREAM, TRIPPED))[ALL]

    assert (row.value, row.threshold, row.subject, row.bot_id) == ("0.11", "0.1", f"bot {created().name}", BOT)
    assert row.words == "halted since daily_loss 0.11, limit 0.1"


def test_an_alert_of_a_bot_is_its_owners_and_of_accounts_and_attacks_the_administrators() -> None:
    mine = msgspec.structs.replace(created(), owner=OwnerId("u-1"))
    attack = AttemptsRefused(attempt="unknown_name", attempts=ATTEMPTS_MAX + 1, addresses=3, since=START, until=START)
    few = msgspec.structs.replace(attack, attempts=ATTEMPTS_MAX)
    rows = rows_after(
        (STREAM, mine),
        (STREAM, HALTED),
        (ACCOUNT, AccountUnreconciled(at=START, epoch=1, reason="x")),
        (SECURITY_STREAM, attack),
        (SECURITY_STREAM, few),
        (VENUE, MarketStale(at=START, symbol=BTC, timeframe="5m", expected=START)),
        (ALERTS_STREAM, AlertRaised(at=START, rule="bot_failing", subject=STREAM, owner=OwnerId("u-1"))),
        (ALERTS_STREAM, AlertRaised(at=START, rule="slow_cycle", subject="x")),
    )

    assert [row.rule for row in rows["u-1"]] == ["bot_failing", "bot_halted"]
    assert [row.rule for row in rows[EVERYBODY]] == ["market_stale"]
    assert [row.rule for row in rows[ADMINISTRATORS]] == ["slow_cycle", "account_unreconciled", "attempts_refused"]
    # What goes on comes first, the newest first; what is over after it.
    assert [row.position for row in rows[ALL]] == [8, 7, 6, 3, 2, 4]
    assert rows["u-1"][0].bot_id == BOT


def traded(number: int, side: str, price: str, *, quantity: str = "10") -> list[Fact]:
    """An order that is filled at once."""
    order_id = OrderId(f"b-{number}")
    reason = "entry" if number % 2 else "exit_signal"
    request = msgspec.convert(
        {"order_id": order_id, "at": START, "symbol": BTC, "side": side, "kind": "market", "reason": reason,
         "quantity": Decimal(quantity), "type": "order.requested"}, OrderRequested,
    )  # fmt: skip
    fill = OrderFilled(
        order_id=order_id, fill_id=FillId(f"f-{number}"), at=START, quantity=Decimal(quantity), price=Decimal(price),
        fee=Decimal(1), liquidity="taker", complete=True,
    )  # fmt: skip
    return [request, fill]


@pytest.mark.parametrize(
    ("sides", "exit_price", "loss"),
    [
        (("buy", "sell"), "40", "602"),
        (("buy", "sell"), "60", None),
        (("sell", "buy"), "160", "602"),
        (("sell", "buy"), "40", None),
    ],
)
def test_a_trade_that_loses_much_of_the_capital_is_told_of(
    sides: tuple[str, str], exit_price: str, loss: str | None
) -> None:
    facts = [created(), deposited(), *traded(1, sides[0], "100"), *traded(2, sides[1], exit_price)]
    rows = rows_after(*((STREAM, fact) for fact in facts)).get(ALL, [])

    assert [(row.rule, row.value, row.threshold) for row in rows] == ([("large_loss", loss, "500")] if loss else [])


def test_the_types_that_matter_are_facts_and_everything_else_is_passed_over() -> None:
    assert set(FACT_TYPES) >= TYPES
    fact = BotClaimed(epoch=1, holder="x")
    event = RecordedEvent(1, STREAM, 1, new_event_id(), "", START, START, fact, Metadata())
    fold = ALERTS.fold()
    assert fold.strangers([event]) == []
    assert fold.apply([event]) == ([], {}, None)
