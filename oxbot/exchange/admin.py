"""The admin side of the exchange: faults, clocks, prices, money, and the exchange's own books, as JSON on loopback."""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

import msgspec
from aiohttp import web

from oxbot.exchange.account_rows import algo_row, balance_row, bill_row, fill_row, order_row, position_row
from oxbot.exchange.admin_paths import PATHS
from oxbot.exchange.calls import Calls
from oxbot.exchange.engine import Exchange
from oxbot.exchange.faults import Fault, PushFault
from oxbot.exchange.model import Refused
from oxbot.exchange.records import Step
from oxbot.exchange.sessions import Hub, Session

T = TypeVar("T")
Found = TypeVar("Found")

PAGE = 100
SPEED_MAX = 100_000
CLOCK_MS_MAX = 10 * 365 * 86_400_000
"""A market's clock never goes back, and no further ahead at once than ten years."""


class _Clock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    freeze: bool = False
    resume: bool = False
    speed: Annotated[float, msgspec.Meta(ge=0, le=SPEED_MAX)] | None = None
    advance_ms: Annotated[int, msgspec.Meta(ge=0, le=CLOCK_MS_MAX)] | None = None
    skew_ms: Annotated[int, msgspec.Meta(ge=-CLOCK_MS_MAX, le=CLOCK_MS_MAX)] | None = None


class _Maintenance(msgspec.Struct, forbid_unknown_fields=True):
    on: bool


class _Outage(msgspec.Struct, forbid_unknown_fields=True):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class _Sockets(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    path: str | None = None
    account: str | None = None
    code: int | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0

    def names(self, session: Session) -> bool:
        """Whether the session is meant."""
        return self.path in {None, session.path} and self.account in {None, session.account}


class _Price(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    instrument: str
    price: Decimal
    volume: Decimal = Decimal(0)


class _PathStep(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    price: Decimal
    after_ms: Annotated[int, msgspec.Meta(ge=0, le=CLOCK_MS_MAX)]
    volume: Decimal = Decimal(0)


class _Path(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    instrument: str
    steps: list[_PathStep]


class _Funding(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    instrument: str
    rate: Decimal


class _InstrumentState(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    instrument: str
    state: Literal["live", "suspend"]


class _Deposit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    account: str
    currency: str
    amount: Decimal


class Admin:
    """For tests and operators of the exchange; it asks for no key, and listens on loopback only."""

    def __init__(self, calls: Calls, hub: Hub, *, may_crash: bool) -> None:
        self._calls = calls
        self._hub = hub
        self._may_crash = may_crash

    def application(self) -> web.Application:
        """To be served."""
        application = web.Application(middlewares=[_explained])
        routes: Sequence[tuple[str, str, Callable[[web.Request], Awaitable[web.Response]]]] = (
            ("GET", "/", self.paths),
            ("GET", "/clock", self.clock),
            ("POST", "/clock", self.set_clock),
            ("GET", "/faults", self.faults),
            ("POST", "/faults", self.arm),
            ("DELETE", "/faults", self.disarm),
            ("DELETE", r"/faults/{fault_id:\d+}", self.disarm),
            ("POST", "/maintenance", self.maintenance),
            ("POST", "/outage", self.outage),
            ("GET", "/sockets", self.sockets),
            ("POST", "/sockets/kick", self.kick),
            ("POST", "/sockets/mute", self.mute),
            ("POST", "/pushes", self.arm_pushes),
            ("DELETE", "/pushes", self.disarm_pushes),
            ("POST", "/price", self.price),
            ("POST", "/path", self.path),
            ("POST", "/funding", self.funding),
            ("POST", "/instrument", self.instrument),
            ("POST", "/deposit", self.deposit),
            ("GET", "/books", self.books),
            ("GET", "/digest", self.digest),
            ("GET", "/requests", self.requests),
            ("DELETE", "/requests", self.clear_requests),
            ("POST", "/crash", self.crash),
        )
        for method, path, handler in routes:
            application.router.add_route(method, path, handler)
        return application

    async def paths(self, _: web.Request) -> web.Response:
        """What there is."""
        return _json(PATHS)

    async def clock(self, _: web.Request) -> web.Response:
        """Both clocks."""
        clocks = self._calls.clocks
        return _json({"market_ms": clocks.market_ms(), "server_ms": clocks.server_ms(), "skew_ms": clocks.skew_ms})

    async def set_clock(self, request: web.Request) -> web.Response:
        """What is due by the market's new time has happened when this is answered."""
        wanted = await _body(request, _Clock)
        clocks = self._calls.clocks
        if wanted.freeze:
            clocks.freeze()
        if wanted.resume:
            clocks.resume(speed=wanted.speed)
        if wanted.skew_ms is not None:
            clocks.skew_ms = wanted.skew_ms
        if wanted.advance_ms is not None:
            clocks.advance(wanted.advance_ms)
        await self._calls.floor.act(lambda _: None)
        return await self.clock(request)

    async def faults(self, _: web.Request) -> web.Response:
        """All that are armed."""
        return _json([msgspec.to_builtins(armed) for armed in self._calls.faults.armed()])

    async def arm(self, request: web.Request) -> web.Response:
        """A new fault."""
        return _json({"fault_id": self._calls.faults.arm(await _body(request, Fault))})

    async def disarm(self, request: web.Request) -> web.Response:
        """One or all."""
        named = request.match_info.get("fault_id")
        self._calls.faults.disarm(None if named is None else int(named))
        return _json({})

    async def maintenance(self, request: web.Request) -> web.Response:
        """On or off."""
        self._calls.faults.maintenance = (await _body(request, _Maintenance)).on
        return _json({})

    async def outage(self, request: web.Request) -> web.Response:
        """Begins now."""
        self._calls.begin_outage((await _body(request, _Outage)).seconds)
        for session in self._hub.each(lambda _: True):
            session.close(None)
        return _json({})

    async def sockets(self, _: web.Request) -> web.Response:
        """Every session and what it listens to."""
        return _json(
            [
                {
                    "connection": session.connection_id,
                    "path": session.path,
                    "account": session.account,
                    "subscriptions": [subscription.arg for subscription in session.subscriptions.values()],
                }
                for session in self._hub.sessions.values()
            ]
        )

    async def kick(self, request: web.Request) -> web.Response:
        """How many."""
        wanted = await _body(request, _Sockets)
        kicked = list(self._hub.each(wanted.names))
        for session in kicked:
            session.close(wanted.code, "kicked")
        return _json({"sessions": len(kicked)})

    async def mute(self, request: web.Request) -> web.Response:
        """How many."""
        wanted = await _body(request, _Sockets)
        muted = list(self._hub.each(wanted.names))
        for session in muted:
            session.mute(wanted.seconds)
        return _json({"sessions": len(muted)})

    async def arm_pushes(self, request: web.Request) -> web.Response:
        """From the next push on."""
        self._calls.push_faults.arm(await _body(request, PushFault))
        return _json({})

    async def disarm_pushes(self, _: web.Request) -> web.Response:
        """No more."""
        self._calls.push_faults.disarm()
        return _json({})

    async def price(self, request: web.Request) -> web.Response:
        """What it fills has been filled when this is answered."""
        wanted = await _body(request, _Price)
        return await self._done(
            lambda exchange, now: exchange.set_price(wanted.instrument, wanted.price, now, volume=wanted.volume)
        )

    async def path(self, request: web.Request) -> web.Response:
        """The steps are on their way."""
        wanted = await _body(request, _Path)
        return await self._done(
            lambda exchange, now: exchange.add_steps(
                wanted.instrument, [Step(now + step.after_ms, step.price, step.volume) for step in wanted.steps], now
            )
        )

    async def funding(self, request: web.Request) -> web.Response:
        """The rate is set."""
        wanted = await _body(request, _Funding)
        return await self._done(lambda exchange, now: exchange.set_funding_rate(wanted.instrument, wanted.rate, now))

    async def instrument(self, request: web.Request) -> web.Response:
        """The state is set."""
        wanted = await _body(request, _InstrumentState)
        return await self._done(
            lambda exchange, now: exchange.set_instrument_state(wanted.instrument, wanted.state, now)
        )

    async def deposit(self, request: web.Request) -> web.Response:
        """It is there."""
        wanted = await _body(request, _Deposit)
        return await self._done(
            lambda exchange, now: exchange.deposit(wanted.account, wanted.currency, wanted.amount, now)
        )

    async def books(self, request: web.Request) -> web.Response:
        """Everything of the account, oldest first."""
        name = request.query.get("account", "")
        exchange = self._calls.floor.exchange
        if name not in exchange.accounts():
            return _json({"error": f"there is no account {name!r}; there is {', '.join(exchange.accounts())}"}, 404)
        return _json(await self._calls.floor.act(lambda _: books(exchange, name)))

    async def digest(self, _: web.Request) -> web.Response:
        """At the present time."""
        return _json({"digest": await self._calls.floor.act(lambda _: self._calls.floor.exchange.digest())})

    async def requests(self, _: web.Request) -> web.Response:
        """What was counted."""
        return _json(self._calls.counters.report())

    async def clear_requests(self, _: web.Request) -> web.Response:
        """Begin at nothing."""
        self._calls.counters.clear()
        return _json({})

    async def crash(self, _: web.Request) -> web.Response:
        """As a power cut: nothing is flushed, nothing is said."""
        if not self._may_crash:
            return _json({"error": "this exchange runs inside another process, which it may not kill"}, 409)
        os.kill(os.getpid(), signal.SIGKILL)
        return _json({})

    async def _done(self, do: Callable[[Exchange, int], Refused | None]) -> web.Response:
        refused = await self._calls.floor.act(lambda now: do(self._calls.floor.exchange, now))
        if refused is not None:
            return _json({"error": refused.msg, "code": refused.code}, 400)
        return _json({})


def books(exchange: Exchange, name: str) -> Mapping[str, object]:
    """All that the exchange knows of an account, in OKX's rows, oldest first."""
    pending = _all(lambda page: exchange.orders_pending(name, page=page), lambda row: row.order_id)
    ended = _all(lambda page: exchange.orders_history(name, page=page), lambda row: row.order_id)
    waiting = _all(lambda page: exchange.algos(name, pending=True, page=page), lambda row: row.algo_id)
    triggered = _all(lambda page: exchange.algos(name, pending=False, page=page), lambda row: row.algo_id)
    fills = _all(lambda page: exchange.fills(name, page=page), lambda row: row.bill_id)
    bills = _all(lambda page: exchange.bills(name, page=page), lambda row: row.bill_id)
    return {
        "orders": [order_row(row) for row in sorted([*pending, *ended], key=lambda row: int(row.order_id))],
        "algo_orders": [algo_row(row) for row in sorted([*waiting, *triggered], key=lambda row: int(row.algo_id))],
        "fills": [fill_row(row) for row in reversed(fills)],
        "bills": [bill_row(row) for row in reversed(bills)],
        "positions": [position_row(row) for row in exchange.positions(name)],
        "balances": [balance_row(row) for row in exchange.balances(name)],
    }


def _all(fetch: Callable[[tuple[str, str]], Sequence[Found]], row_id: Callable[[Found], str]) -> list[Found]:
    found: list[Found] = []
    page = fetch(("", ""))
    while page:
        found += page
        if len(page) < PAGE:
            break
        page = fetch(("", row_id(page[-1])))
    return found


@web.middleware
async def _explained(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A body that is not understood is the caller's mistake."""
    try:
        return await handler(request)
    except msgspec.MsgspecError as error:
        return _json({"error": str(error)}, 400)


async def _body(request: web.Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.read() or b"{}", type=kind, strict=False)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
