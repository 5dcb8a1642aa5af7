"""How a request becomes an answer, whichever way it came: faults, limits, the engine, and what is counted."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from oxbot.exchange.auth import Caller
from oxbot.exchange.clock import Clocks
from oxbot.exchange.desk import Refusal
from oxbot.exchange.faults import Fault, Faults, PushFaults
from oxbot.exchange.floor import Floor
from oxbot.exchange.limits import ORDERS_OF_ACCOUNT, Counters, Limit, Limiter
from oxbot.exchange.rest import Ask, Endpoint
from oxbot.exchange.rest_trade import refused_rows
from oxbot.exchange.wire import MESSAGES, ApiError, Params, Reply


class Request(NamedTuple):
    """A request whose sender is known. ``name``: as faults and counters call it. ``expires``: its expTime (ms)."""

    name: str
    endpoint: Endpoint
    params: Params
    rows: Sequence[Params]
    caller: Caller | None
    address: str
    expires: int | None = None

    @property
    def account(self) -> str:
        """Empty for everyone."""
        return "" if self.caller is None else self.caller.account.name


class Outcome(NamedTuple):
    """What to send; with a fault, how to spoil it. Nothing was carried out if there is no reply."""

    reply: Reply | None
    fault: Fault | None = None


class Calls:
    """Everything that a transport needs."""

    def __init__(self, floor: Floor, clocks: Clocks, *, seed: int) -> None:
        self.floor = floor
        self.clocks = clocks
        self.faults = Faults(seed)
        self.push_faults = PushFaults()
        self.counters = Counters()
        self.stopping = asyncio.Event()
        self._limiter = Limiter()
        self._outage_until = 0.0

    @property
    def out(self) -> bool:
        """Whether every connection is to be dropped now."""
        return time.monotonic() < self._outage_until

    def begin_outage(self, seconds: float) -> None:
        """Drop every connection from now on for so long."""
        self._outage_until = time.monotonic() + seconds

    async def answer(self, request: Request) -> Outcome:
        """The answer to a request, or how it fails."""
        instruments = [row.text("instId") for row in request.rows]
        fault = self.faults.draw(request.name, account=request.account, instruments=instruments)
        outcome = await self._answer(request, fault)
        if outcome.reply is not None:
            self.count(request.name, outcome.reply)
        return outcome

    async def wait(self, seconds: float) -> None:
        """So long, or until the exchange stops."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    def count(self, name: str, reply: Reply) -> None:
        """Note the answer's codes."""
        codes = [str(row["sCode"]) for row in reply.data if isinstance(row, dict) and "sCode" in row]
        for code in codes or [reply.code]:
            self.counters.answered(name, code)

    async def _answer(self, request: Request, fault: Fault | None) -> Outcome:
        if self.faults.maintenance:
            return Outcome(_error("50001", None))
        if fault is not None and fault.when == "before":
            if fault.kind != "slow":
                return _spoilt(request, fault, None)
            await self.wait(fault.seconds)
        reply = await self._carry_out(request)
        if fault is not None and fault.when == "after":
            if fault.kind != "slow":
                return _spoilt(request, fault, reply)
            await self.wait(fault.seconds)
        return Outcome(reply)

    async def _carry_out(self, request: Request) -> Reply:
        try:
            self._admit(request)
            return await self.floor.act(lambda now: self._run(request, now))
        except ApiError as error:
            return Reply([], error.code, error.message, error.status)

    def _run(self, request: Request, now: int) -> Reply:
        server_ms = self.clocks.server_ms()
        ask = Ask(
            exchange=self.floor.exchange,
            now=now,
            server_ms=server_ms,
            params=request.params,
            rows=request.rows,
            caller=request.caller,
            expired=request.expires is not None and server_ms > request.expires,
        )
        try:
            return request.endpoint.handle(ask)
        except Refusal as refusal:
            raise ApiError(refusal.code, refusal.msg) from refusal

    def _admit(self, request: Request) -> None:
        """Refuses what the sender may not do, or not so often."""
        endpoint = request.endpoint
        if endpoint.permission is not None:
            if request.caller is None:
                raise ApiError("50103", 'Request header "OK-ACCESS-KEY" cannot be empty.')
            request.caller.must(endpoint.permission)
        count = len(request.rows)
        limit = endpoint.single if endpoint.single is not None and count == 1 else endpoint.limit
        by_instrument: dict[str, int] = {}
        for row in request.rows:
            name = row.text("instId") or row.text("instIdCode")
            by_instrument[name] = by_instrument.get(name, 0) + 1
        weights = by_instrument if limit.scope.endswith("+inst") else {"": 1}
        for name, weight in weights.items():
            self._take(limit, f"{_whose(limit, request)}|{name}", weight, "50011")
        if endpoint.orders:
            self._take(ORDERS_OF_ACCOUNT, request.account, count, "50061")

    def _take(self, limit: Limit, key: str, weight: int, code: str) -> None:
        if not self._limiter.take(limit, key, now_ms=int(time.monotonic() * 1000), weight=weight):
            raise ApiError(code, MESSAGES[code])


def _whose(limit: Limit, request: Request) -> str:
    return request.address if limit.scope.startswith("ip") else request.account


def _error(code: str, message: str | None, status: int | None = None) -> Reply:
    text = message if message is not None else MESSAGES.get(code, "Operation failed.")
    return Reply([], code, text, ApiError(code, text).status if status is None else status)


def _spoilt(request: Request, fault: Fault, reply: Reply | None) -> Outcome:
    if fault.kind == "code" or (fault.kind == "scode" and request.endpoint.method != "POST"):
        return Outcome(_error(fault.code, fault.message, fault.status))
    if fault.kind == "scode":
        message = fault.message if fault.message is not None else MESSAGES.get(fault.code, "Operation failed.")
        return Outcome(refused_rows(request.rows, code=fault.code, message=message))
    return Outcome(reply, fault)
