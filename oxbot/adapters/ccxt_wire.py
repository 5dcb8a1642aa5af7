"""Carries one account's calls to its venue over ccxt, within its limits, and says truthfully what came back."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar

from oxbot.adapters.ccxt_errors import REPLY_ATTRIBUTE, Verdict, outcome, verdict_of, verdict_of_error
from oxbot.adapters.ccxt_loading import TIMEOUT_SECONDS, Exchange, call_named, error_kind
from oxbot.adapters.rate_limiter import Priority, QueueFull, RateLimiter
from oxbot.adapters.redaction import redacted
from oxbot.adapters.venue_profiles import VenueProfile
from oxbot.app.venue import Refused, Unknown, VenueRefused, VenueUnavailable, VenueUnfit

OKX_WINDOW_MILLISECONDS = 30_000
"""OKX refuses a request whose own timestamp is further than this from its clock."""

NOT_SENT = "not_sent"
"""The code of a refusal that is our own: nothing left this process."""

GRACE_SECONDS = 5.0
"""How much longer than ccxt's own timeout a request is waited for: ccxt may be busy with others."""

_Answer = TypeVar("_Answer")
Rows = list[dict[str, object]]


class Missing(NamedTuple):
    """The venue says in a code of its own that what was asked for does not exist."""

    code: str


class Late(NamedTuple):
    """From when on the venue must refuse a request, and by which of its means.

    "header": OKX's expTime, which it knows for orders and amendments. "timestamp": the request is dated so that OKX's
    window for timestamps ends then, which holds for every request; a deadline further off than the window is brought
    forward to its end.
    """

    at: datetime
    by: Literal["header", "timestamp"]


class Call(NamedTuple):
    """One request: ccxt's name of the endpoint, what is sent, and what it counts as; a ``setting`` is to be changed."""

    endpoint: str
    params: object
    limits: tuple[str, ...]
    priority: Priority
    symbol: str = ""
    late: Late | None = None
    setting: bool = False


_LATE: ContextVar[Late | None] = ContextVar("venue_request_late", default=None)


class CcxtWire:
    """One account's way to its venue. Nothing is ever sent twice."""

    def __init__(
        self,
        exchange: Exchange,
        profile: VenueProfile,
        limiter: RateLimiter,
        *,
        secrets: tuple[str, ...],
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.exchange = exchange
        self.profile = profile
        self._limiter = limiter
        self._secrets = secrets
        self._answer_seconds = timeout_seconds + GRACE_SECONDS
        self._error = error_kind("BaseError")
        _keep_replies(exchange)
        _set_deadlines(exchange)

    async def send(self, call: Call) -> dict[str, object] | Refused | Unknown:
        """Send an order, a cancel or an amendment once: the one row of its reply, a definite no, or nothing known.

        Raises nothing but the cancellation of the task itself.
        """
        try:
            async with self._limiter.turn(call.limits, symbol=call.symbol, priority=call.priority):
                reply = await self._replied(call)
        except QueueFull as error:
            return Refused(NOT_SENT, str(error), passing=True)
        if isinstance(reply, Verdict):
            return self._shown(outcome(reply, self.profile))
        if len(reply) != 1:
            return Unknown("the reply does not hold one row")
        return reply[0]

    async def ask(self, call: Call) -> Rows | Missing:
        """Ask once: the rows of the reply, or that there is no such thing.

        Raises ``VenueRefused`` for a no to the whole account, ``VenueUnfit`` for one to a setting, ``VenueUnavailable``
        for everything else.
        """
        try:
            async with self._limiter.turn(call.limits, symbol=call.symbol, priority=call.priority):
                reply = await self._replied(call)
        except QueueFull as error:
            raise VenueUnavailable(str(error)) from None
        if isinstance(reply, Verdict) and call.setting and reply.code in self.profile.setting_refusals:
            raise VenueUnfit(f"{self.profile.venue} refuses it: {self.redacted(f'{reply.code}: {reply.words}')}")
        return self._answered_no(reply) if isinstance(reply, Verdict) else reply

    async def load_markets(self) -> Mapping[str, Mapping[str, object]]:
        """Every symbol of the venue. Raises as ``ask``."""
        try:
            async with (
                self._limiter.turn(("instruments",), priority=Priority.SWEEP),
                asyncio.timeout(4 * self._answer_seconds),
            ):
                return await self.exchange.load_markets()
        except (self._error, TimeoutError, OSError) as error:
            verdict = verdict_of_error(error)
        self._answered_no(verdict)
        raise VenueUnavailable("the venue's symbols could not be read")

    def redacted(self, text: str) -> str:
        """The text without this account's secrets."""
        return redacted(text, self._secrets)

    async def _replied(self, call: Call) -> Rows | Verdict:
        """The rows of a reply that says yes, else what it says, or what became of it."""
        token = _LATE.set(call.late)
        try:
            async with asyncio.timeout(self._answer_seconds):
                reply = await uncancelled(call_named(self.exchange, call.endpoint)(call.params))
        except Exception as error:  # noqa: BLE001  # whatever ccxt trips over, the venue may have done what it was asked
            return verdict_of_error(error)
        finally:
            _LATE.reset(token)
        verdict = verdict_of(reply)
        if verdict is not None:
            return verdict
        rows = _rows(reply)
        return Verdict("", "the reply holds no rows") if rows is None else rows

    def _shown(self, answer: Refused | Unknown) -> Refused | Unknown:
        if isinstance(answer, Refused):
            return answer._replace(reason=self.redacted(answer.reason))
        return Unknown(self.redacted(answer.reason))

    def _answered_no(self, verdict: Verdict) -> Missing:
        if verdict.code and verdict.code in self.profile.missing:
            return Missing(verdict.code)
        words = self.redacted(f"{verdict.code}: {verdict.words}" if verdict.code else verdict.words)
        # What ccxt raised is left behind: its text, and that of its cause, may hold the request with all its headers.
        if verdict.code in self.profile.account_refusals:
            explained = self.profile.explained.get(verdict.code)
            meaning = "" if explained is None else f"{explained}; it says "
            raise VenueRefused(f"{self.profile.venue} refuses this account: {meaning}{words}")
        raise VenueUnavailable(f"{self.profile.venue} gave no usable answer: {words}")


class Ended(Exception):
    """A connection was closed under what waited for it."""


async def uncancelled(answer: Awaitable[_Answer]) -> _Answer:
    """The answer; a cancellation that nobody asked this task for raises ``Ended``."""
    task = asyncio.current_task()
    asked_before = 0 if task is None else task.cancelling()
    try:
        return await answer
    except asyncio.CancelledError:
        if task is not None and task.cancelling() > asked_before:
            raise
        raise Ended("the connection was closed") from None


def _rows(reply: object) -> Rows | None:
    rows = reply.get("data") if isinstance(reply, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows


def _keep_replies(exchange: Exchange) -> None:
    """Let the exceptions that ccxt makes of a venue's replies carry those replies."""
    judge = exchange.handle_errors

    def handle_errors(status: int, reason: str, url: str, method: str, headers: object, body: str, response: object, *rest: object) -> object:  # fmt: skip # noqa: E501, PLR0917  # ccxt's own signature
        try:
            return judge(status, reason, url, method, headers, body, response, *rest)
        except Exception as error:
            setattr(error, REPLY_ATTRIBUTE, response)
            raise

    exchange.handle_errors = handle_errors


def _set_deadlines(exchange: Exchange) -> None:
    """Let a request under way carry its deadline, in the header that OKX has for it or in the time that it is dated."""
    sign, nonce = exchange.sign, exchange.nonce

    def signed(*arguments: object, **named: object) -> dict[str, object]:
        request = sign(*arguments, **named)
        late = _LATE.get()
        if late is not None and late.by == "header":
            headers = request.get("headers")
            request["headers"] = {**(headers if isinstance(headers, dict) else {}), "expTime": str(_milliseconds(late))}
        return request

    def dated() -> float:
        late = _LATE.get()
        if late is None or late.by == "header":
            return nonce()
        return min(nonce(), _milliseconds(late) - OKX_WINDOW_MILLISECONDS)

    exchange.sign, exchange.nonce = signed, dated


def _milliseconds(late: Late) -> int:
    return int(late.at.timestamp() * 1000)
