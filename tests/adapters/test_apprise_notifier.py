"""Notices through Apprise, to a service on this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from oxbot.adapters.apprise_notifier import AppriseNotifier, InvalidTarget
from oxbot.app.notifications import NotSent
from oxbot.config import Secret
from oxbot.views.notices import Level, Notice
from tests.core.scenario import START

pytestmark = pytest.mark.anyio

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
PASSWORD = "hunter2-of-the-webhook"  # noqa: S105 - planted, to be looked for


@asynccontextmanager
async def service(answer: Answer) -> AsyncIterator[int]:
    """A web service that answers every POST so; yields its port."""
    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def notifier(port: int, *, timeout_seconds: float = 20) -> AppriseNotifier:
    """One that posts JSON there, with a password in its address."""
    return AppriseNotifier([Secret(f"json://user:{PASSWORD}@127.0.0.1:{port}/hook")], timeout_seconds=timeout_seconds)


def notice(number: int, level: Level = "info") -> Notice:
    """A notice."""
    return Notice(key=f"{number:032x}", position=number, at=START, level=level, line=f"line {number}")


async def test_a_message_holds_every_line_with_its_time_and_key_under_the_worst_level() -> None:
    got: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        got.append(json.loads(await request.text()))
        return web.Response()

    async with service(answer) as port:
        await notifier(port).send([notice(1), notice(2, "failure"), notice(3, "warning")])
        await notifier(port).send([notice(4)])

    assert [(body["title"], body["type"]) for body in got] == [
        ("oxbot: 3 notices", "failure"),
        ("oxbot: line 4", "info"),
    ]
    assert got[0]["message"].splitlines() == [
        f"2024-01-01 00:00:00 UTC line {number} [{number:012x}]" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("status", [500, 404, 429])
async def test_a_service_that_refuses_has_not_got_it(
    status: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.Response(status=status)

    async with service(answer) as port:
        with pytest.raises(NotSent) as failed:
            await notifier(port).send([notice(1)])
    _assert_secret([str(failed.value), repr(failed.value.__cause__), caplog.text, *capfd.readouterr()])


async def test_a_service_that_is_not_there_has_not_got_it() -> None:
    async def answer(request: web.Request) -> web.Response:
        raise AssertionError(request)

    async with service(answer) as port:
        pass
    with pytest.raises(NotSent) as failed:
        await notifier(port).send([notice(1)])
    _assert_secret([str(failed.value)])


async def test_a_service_that_does_not_answer_is_given_up() -> None:
    release = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        del request
        await release.wait()
        return web.Response()

    async with service(answer) as port:
        with pytest.raises(NotSent, match=r"no answer within 0\.2 s"):
            await notifier(port, timeout_seconds=0.2).send([notice(1)])
        release.set()


def test_an_address_of_no_service_is_refused_by_its_number() -> None:
    with pytest.raises(InvalidTarget, match="notify target 2 is") as refused:
        AppriseNotifier([Secret("json://127.0.0.1/"), Secret(f"nonsense://{PASSWORD}")])
    _assert_secret([str(refused.value)])


def _assert_secret(outputs: list[str]) -> None:
    assert not [output for output in outputs if PASSWORD in output]
