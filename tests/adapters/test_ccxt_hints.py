"""Pushes as reasons to look: through lost connections, without an end, and without losing one unnoticed."""

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module

import pytest

from events.identifiers import Symbol
from oxbot.adapters.ccxt_hints import HINTS_MAX, CcxtHints
from oxbot.adapters.ccxt_hints import Stream as Followed
from oxbot.app.venue import VenueHint
from tests.adapters.test_rate_limiter import VirtualClock

pytestmark = pytest.mark.anyio

SPOT = Symbol("BTC/USDT")
Pushed = object


class Stream:
    """A stream of ccxt.pro whose every answer a test gives."""

    def __init__(self) -> None:
        self.calls = 0
        self.connected = asyncio.Event()
        self.connected.set()
        self._answers: asyncio.Queue[Pushed | BaseException] = asyncio.Queue()

    async def ready(self) -> None:
        await self.connected.wait()

    async def watch(self) -> Pushed:
        self.calls += 1
        answer = await self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def says(self, *answers: Pushed | BaseException) -> None:
        for answer in answers:
            self._answers.put_nowait(answer)


def lost() -> BaseException:
    """What ccxt raises when a connection is lost."""
    error: BaseException = import_module("ccxt.base.errors").NetworkError("1006 planted-secret")
    return error


def order(client_id: str) -> dict[str, object]:
    """An order as ccxt shows it."""
    return {"clientOrderId": client_id, "symbol": SPOT, "info": {"clOrdId": client_id}}


def hints_of(clock: VirtualClock, **streams: Stream) -> CcxtHints:
    """Hints of these streams."""
    followed = {name: Followed(stream.ready, stream.watch) for name, stream in streams.items()}
    return CcxtHints(followed, clock=clock, redact=lambda text: text.replace("planted-secret", "***"))


async def told(hints: AsyncIterator[VenueHint], count: int) -> list[VenueHint]:
    """The next hints."""
    async with asyncio.timeout(5):
        return [await anext(hints) for _ in range(count)]


async def test_each_order_of_a_push_is_a_hint_and_a_subscription_that_stands_is_told_of_once() -> None:
    clock, stream = VirtualClock(), Stream()
    hints = hints_of(clock, orders=stream)
    stream.says([order("a"), order("b")], [{"info": {"algoClOrdId": "c", "clOrdId": ""}, "symbol": None}], [])
    found = hints.hints()
    assert await told(found, 4) == [
        VenueHint("a", SPOT),
        VenueHint("b", SPOT),
        VenueHint("c"),
        VenueHint(),
    ]
    await clock.advance(60)
    stream.says([order("d")])
    assert [(hint.client_id, hint.reconnected) for hint in await told(found, 2)] == [("", True), ("d", False)]
    await hints.stop()


@pytest.mark.parametrize("failure", [lost(), asyncio.CancelledError(), ConnectionResetError(), TimeoutError()])
async def test_after_a_lost_connection_the_stream_is_taken_up_again_and_the_gap_is_told_of(
    failure: BaseException,
) -> None:
    clock, stream = VirtualClock(), Stream()
    hints = hints_of(clock, orders=stream)
    found = hints.hints()
    first = asyncio.ensure_future(anext(found))
    await clock.advance(5)
    assert (await first).reconnected

    stream.says(failure)
    await clock.advance(0)
    stream.says([order("after")])
    following = asyncio.ensure_future(told(found, 2))
    await clock.advance(10)
    assert {(hint.client_id, hint.reconnected) for hint in await following} == {("after", False), ("", True)}
    await hints.stop()


async def test_a_connection_that_does_not_stand_yet_is_not_told_of() -> None:
    clock, stream = VirtualClock(), Stream()
    hints = hints_of(clock, orders=stream)
    stream.connected.clear()
    waiting = asyncio.ensure_future(anext(hints.hints()))
    await clock.advance(60)
    assert not waiting.done()
    stream.connected.set()
    await clock.advance(5)
    assert (await waiting).reconnected
    await hints.stop()


async def test_a_venue_that_stays_away_is_asked_less_and_less_often_and_never_given_up() -> None:
    clock, stream = VirtualClock(), Stream()
    hints = hints_of(clock, orders=stream)
    found = hints.hints()
    waiting = asyncio.ensure_future(anext(found))
    stream.says(*(lost() for _ in range(200)))
    await clock.advance(600)
    assert 15 < stream.calls < 40
    assert not waiting.done()
    await clock.advance(6000)
    stream.says([order("back")])
    await clock.advance(60)
    assert await waiting is not None
    await hints.stop()


async def test_the_loss_of_one_stream_does_not_disturb_the_other() -> None:
    clock, dead, alive = VirtualClock(), Stream(), Stream()
    hints = hints_of(clock, dead=dead, alive=alive)
    found = hints.hints()
    waiting = asyncio.ensure_future(told(found, 2))
    dead.says(*(lost() for _ in range(50)))
    alive.says([order("a")])
    await clock.advance(3)
    assert {hint.client_id for hint in await waiting} == {"a", ""}
    await hints.stop()


async def test_of_more_pushes_than_can_be_kept_remains_that_anything_may_have_changed() -> None:
    clock, stream = VirtualClock(), Stream()
    hints = hints_of(clock, orders=stream)
    found = hints.hints()
    stream.says([order("first")])
    await told(found, 1)
    stream.says([order(str(number)) for number in range(HINTS_MAX + 5)])
    await clock.advance(0)
    everything = await told(found, 6)
    assert everything[0].reconnected
    assert everything[-1].client_id == str(HINTS_MAX + 4)
    await hints.stop()


async def test_an_error_of_ours_ends_the_hints_with_that_error() -> None:
    clock, stream = VirtualClock(), Stream()
    hints = hints_of(clock, orders=stream)
    stream.says(ZeroDivisionError("ours"))
    found = hints.hints()
    await told(found, 1)
    with pytest.raises(ZeroDivisionError, match="ours"):
        await told(found, 1)
    await hints.stop()


async def test_a_lost_stream_is_logged_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    clock, stream = VirtualClock(), Stream()
    hints = hints_of(clock, orders=stream)
    stream.says(lost(), [order("a")])
    waiting = asyncio.ensure_future(told(hints.hints(), 1))
    await clock.advance(5)
    await waiting
    await hints.stop()
    shown = capsys.readouterr()
    assert "venue_stream_lost" in shown.out + shown.err
    assert "planted-secret" not in shown.out + shown.err
