"""What became of an order, told from every reply that an exchange may give to real ccxt."""

import asyncio
import io
import traceback
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
import structlog

from events.identifiers import Symbol
from oxbot.adapters.ccxt_wire import NOT_SENT, Ended, uncancelled
from oxbot.app.venue import (
    Refused,
    Taken,
    Unknown,
    VenueOrderRef,
    VenueRefused,
    VenueRequest,
    VenueUnavailable,
)
from tests.adapters.scripted_okx import (
    SECRETS,
    ScriptedOkx,
    code,
    dropped,
    html,
    ok,
    opened,
    reply,
    scode,
    silent,
    truncated,
)

pytestmark = pytest.mark.anyio

SPOT, PERPETUAL = Symbol("BTC/USDT"), Symbol("BTC/USDT:USDT")
CLIENT_ID = "c" * 32
EXPIRES_AT = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=20)
REQUEST = VenueRequest(
    client_id=CLIENT_ID,
    symbol=SPOT,
    side="buy",
    kind="limit",
    quantity=Decimal("0.01"),
    limit_price=Decimal(50_000),
    expires_at=EXPIRES_AT,
)
STOP = VenueRequest(
    client_id=CLIENT_ID,
    symbol=PERPETUAL,
    side="sell",
    kind="oco",
    quantity=Decimal("0.05"),
    trigger_price=Decimal(45_000),
    target_price=Decimal(55_000),
    reduce_only=True,
    expires_at=EXPIRES_AT,
)
REF = VenueOrderRef(client_id=CLIENT_ID, symbol=SPOT, at_trigger=False)

REFUSED = {
    **{number: scode(number) for number in ("51008", "51119", "51127", "51131", "51020", "51121", "51000", "51001")},
    "50036": scode("50036"),
    "51169": scode("51169"),
    "51008_1000": scode("51008_1000"),
    "50011 with 429": code("50011", http=429),
    "50011 with 200": code("50011"),
    "50061": code("50061"),
    "50102": code("50102", http=401),
    "50113": code("50113", http=401),
    "50111": code("50111", http=401),
    "50105": code("50105", http=401),
    "50101": code("50101", http=401),
}
UNKNOWN = {
    "51016, so the first order exists": scode("51016"),
    "51149, timed out inside": scode("51149"),
    "51149 with 500": code("51149", http=500),
    "50001 maintenance": code("50001", http=503),
    "50004": code("50004", http=400),
    "50013": code("50013", http=429),
    "50026": code("50026", http=500),
    "a code that nobody knows": scode("59876"),
    "partial success without a row": reply({"code": "2", "msg": "", "data": []}),
    "429 html": html(429),
    "400 html": html(400),
    "401 html": html(401),
    "403 html": html(403),
    "404 html": html(404),
    "502 html": html(502),
    "504 html": html(504),
    "200 html": html(200),
    "dropped": dropped(),
    "truncated": truncated(),
    "yes without a row": ok(),
    "yes without an id": ok({"ordId": "", "clOrdId": CLIENT_ID, "sCode": "0", "sMsg": ""}),
    "yes about another order": ok({"ordId": "7", "clOrdId": "another", "sCode": "0", "sMsg": ""}),
    "a row that is none": reply({"code": "0", "msg": "", "data": ["?"]}),
    "a list": reply([{"code": "0"}]),
    "a number": reply(7),
    "null": reply(None),
    "rows that are no list": reply({"code": "0", "data": {"ordId": "7"}}),
}
TAKEN = ok({"ordId": "7", "clOrdId": CLIENT_ID, "sCode": "0", "sMsg": "", "ts": "1700000000123"})


async def test_only_a_definite_code_is_a_refusal() -> None:
    okx = ScriptedOkx()
    async with opened(okx) as venue:
        for number, (name, answer) in enumerate(REFUSED.items(), 1):
            okx.says("trade/order", answer)
            sent = await venue.place(REQUEST)
            assert isinstance(sent, Refused), (name, sent)
            assert sent.code == name[:5]
            assert sent.passing == (sent.code in {"50011", "50036", "50061", "50102"})
            assert len(okx.sent("trade/order")) == number


async def test_everything_else_is_unknown_and_nothing_is_sent_twice() -> None:
    okx = ScriptedOkx()
    async with opened(okx) as venue:
        for number, (name, answer) in enumerate(UNKNOWN.items(), 1):
            for path in ("trade/order", "trade/order-algo", "trade/cancel-order"):
                okx.says(path, answer)
            sent = [await venue.place(REQUEST), await venue.place(STOP), await venue.cancel(REF)]
            expected = {Taken, Unknown} if name.startswith("yes about") else {Unknown}
            assert {type(each) for each in sent} <= expected, (name, sent)
            assert isinstance(sent[0], Unknown), (name, sent)
            assert not any(secret in repr(sent) for secret in SECRETS)
            for path in ("trade/order", "trade/order-algo", "trade/cancel-order"):
                assert len([asked for asked in okx.sent(path) if asked.method == "POST"]) == number


async def test_a_yes_names_the_order_and_its_time() -> None:
    okx = ScriptedOkx()
    okx.says("trade/order", TAKEN)
    async with opened(okx) as venue:
        sent = await venue.place(REQUEST)
    assert sent == Taken("7", datetime.fromtimestamp(1700000000.123, UTC))


async def test_no_reply_in_time_is_unknown() -> None:
    okx, released = ScriptedOkx(), asyncio.Event()
    okx.says("trade/order", silent(released))
    async with opened(okx, timeout_seconds=0.3) as venue:
        sent = await venue.place(REQUEST)
        released.set()
    assert isinstance(sent, Unknown), sent


async def test_a_cancelled_task_is_cancelled_and_a_connection_closed_under_it_is_unknown() -> None:
    okx, released = ScriptedOkx(), asyncio.Event()
    okx.says("trade/order", silent(released))
    async with opened(okx) as venue:
        cancelled = asyncio.create_task(venue.place(REQUEST))
        while not okx.sent("trade/order"):
            await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        released.set()


async def test_a_cancellation_that_nobody_asked_for_is_an_ended_connection() -> None:
    async def closed() -> None:
        raise asyncio.CancelledError

    with pytest.raises(Ended):
        await uncancelled(closed())


async def test_an_order_carries_its_deadline_in_okxs_header_and_says_all_it_must() -> None:
    okx = ScriptedOkx()
    okx.says("trade/order", TAKEN)
    async with opened(okx) as venue:
        await venue.place(REQUEST)
        market = msgspec.structs.replace(REQUEST, kind="market", limit_price=None)
        await venue.place(market)
        await venue.place(
            msgspec.structs.replace(market, symbol=PERPETUAL, quantity=Decimal("0.013"), reduce_only=True)
        )

    limit, spot, perpetual = okx.sent("trade/order")
    assert [asked.headers["exptime"] for asked in (limit, spot, perpetual)] == [_ms(EXPIRES_AT)] * 3
    common = {
        "instId": "BTC-USDT",
        "tdMode": "cash",
        "side": "buy",
        "tag": "oxbotEntry",
        "sz": "0.01",
        "clOrdId": CLIENT_ID,
    }
    assert limit.body == {**common, "ordType": "limit", "px": "50000"}
    assert spot.body == {**common, "ordType": "market", "tgtCcy": "base_ccy"}
    assert perpetual.body == {
        "tag": "oxbotExit",
        "instId": "BTC-USDT-SWAP",
        "tdMode": "isolated",
        "side": "buy",
        "sz": "1.3",
        "clOrdId": CLIENT_ID,
        "ordType": "market",
        "reduceOnly": True,
    }


async def test_an_order_at_a_trigger_is_dated_so_that_okx_refuses_it_after_its_deadline() -> None:
    okx = ScriptedOkx()
    okx.says("trade/order-algo", ok({"algoId": "9", "algoClOrdId": CLIENT_ID, "sCode": "0", "sMsg": ""}))
    async with opened(okx) as venue:
        assert isinstance(await venue.place(STOP), Taken)
        await venue.place(msgspec.structs.replace(STOP, expires_at=EXPIRES_AT + timedelta(days=1)))

    soon, far = okx.sent("trade/order-algo")
    assert "exptime" not in soon.headers
    assert datetime.fromisoformat(soon.headers["ok-access-timestamp"]) == EXPIRES_AT - timedelta(seconds=30)
    assert abs(datetime.fromisoformat(far.headers["ok-access-timestamp"]) - datetime.now(UTC)) < timedelta(seconds=25)
    assert soon.body == {
        "tag": "oxbotExit",
        "instId": "BTC-USDT-SWAP",
        "tdMode": "isolated",
        "side": "sell",
        "sz": "5",
        "reduceOnly": True,
        "algoClOrdId": CLIENT_ID,
        "ordType": "oco",
        "slTriggerPx": "45000",
        "slTriggerPxType": "last",
        "slOrdPx": "-1",
        "tpTriggerPx": "55000",
        "tpTriggerPxType": "last",
        "tpOrdPx": "-1",
    }


async def test_demo_mode_says_so_in_the_header_and_real_trading_does_not() -> None:
    for demo in (True, False):
        okx = ScriptedOkx()
        okx.says("trade/order", TAKEN)
        async with opened(okx, demo=demo) as venue:
            await venue.place(REQUEST)
        [asked] = okx.sent("trade/order")
        assert asked.headers.get("x-simulated-trading") == ("1" if demo else None)


async def test_what_is_off_the_steps_is_not_sent() -> None:
    okx = ScriptedOkx()
    async with opened(okx) as venue:
        for request in (
            msgspec.structs.replace(REQUEST, quantity=Decimal("0.000001")),
            msgspec.structs.replace(REQUEST, limit_price=Decimal("50000.05")),
            msgspec.structs.replace(STOP, quantity=Decimal("0.0505")),
            msgspec.structs.replace(STOP, symbol=Symbol("ETH/BTC:BTC")),
        ):
            sent = await venue.place(request)
            assert isinstance(sent, Refused), sent
            assert sent.code == NOT_SENT
    assert (okx.sent("trade/order"), okx.sent("trade/order-algo")) == ([], [])


@pytest.mark.parametrize("number", ["51400", "51401", "51402", "51603"])
async def test_a_cancel_of_what_has_ended_is_refused(number: str) -> None:
    okx = ScriptedOkx()
    okx.says("trade/cancel-order", scode(number))
    okx.says("trade/cancel-algos", scode(number))
    async with opened(okx) as venue:
        for ref in (REF, msgspec.structs.replace(REF, at_trigger=True)):
            sent = await venue.cancel(ref)
            assert isinstance(sent, Refused), sent
            assert sent.code == number


WRONG = {"50111": "key", "50113": "secret", "50105": "password", "50110": "address", "50102": "clock", "50101": "demo"}


@pytest.mark.parametrize(("number", "word"), WRONG.items())
async def test_wrong_keys_and_a_clock_too_far_off_are_said_so_when_the_account_is_opened(
    number: str, word: str
) -> None:
    okx = ScriptedOkx()
    okx.says("account/config", code(number, http=401))
    with pytest.raises(VenueRefused, match=rf"okx refuses this account: .*{word}.*; it says {number}: no"):
        async with opened(okx):
            pass


async def test_a_question_without_a_usable_answer_is_unavailable_and_never_an_answer() -> None:
    okx = ScriptedOkx()
    async with opened(okx) as venue:
        for answer in (
            *(html(status) for status in (200, 401, 404, 503)),
            *(dropped(), truncated(), code("50013"), code("50011", http=429), code("1"), reply({"data": []})),
        ):
            for path in ("trade/order", "trade/order-algo"):
                okx.says(path, answer)
            for ref in (REF, msgspec.structs.replace(REF, at_trigger=True)):
                with pytest.raises(VenueUnavailable):
                    await venue.lookup(ref)


async def test_nothing_that_goes_wrong_shows_a_secret_in_its_text_its_traceback_or_a_log() -> None:
    written = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(written),
        processors=[structlog.processors.format_exc_info, structlog.dev.ConsoleRenderer()],
    )
    failures = 0
    for answer in (
        html(200),
        html(401),
        html(503),
        dropped(),
        truncated(),
        code("50113", http=401),
        reply(list(SECRETS)),
    ):
        okx = ScriptedOkx()
        okx.says("trade/order", answer)
        async with opened(okx) as venue:
            written.write(repr(await venue.place(REQUEST)))
            written.write(repr(venue))
            try:
                await venue.lookup(REF)
            except (VenueUnavailable, VenueRefused) as error:
                failures += 1
                logger.exception("lookup_failed", error=error)
                written.write(
                    "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
                )
    shown = written.getvalue()
    assert failures == 7
    assert "lookup_failed" in shown
    assert [secret for secret in SECRETS if secret in shown] == []


def _ms(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
