"""Says of an exception that a call through litellm ended with why there is no answer, in words that hold no secret."""

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, cast

from oxbot.adapters.redaction import redacted, without
from oxbot.app.models.transport import SETTINGS_STATUSES, CallFailed

DETAIL_MAX = 300
SAID_MAX = 20_000
RETRY_AFTER_MAX = 86_400.0
CAUSES_MAX = 12

TOO_MANY = 429
TOO_LARGE = 413
TIMEOUTS = frozenset({408, 504})
BAD_SETTINGS = 400

_PROMPT_FAULTS = frozenset({"ContextWindowExceededError", "ContentPolicyViolationError"})
_PROMPT_CODES = frozenset({"context_length_exceeded", "content_policy_violation", "content_filter", "string_above_max_length"})  # fmt: skip # noqa: E501
_TIMEOUTS = frozenset({"Timeout", "APITimeoutError", "ReadTimeout", "ConnectTimeout", "SocketTimeoutError"})
_UNREACHED = ("httpx", "httpcore", "aiohttp.client_exceptions")
_SETTINGS = frozenset({"BadRequestError", "UnsupportedParamsError", "LiteLLMUnknownProvider", "AuthenticationError", "NotFoundError"})  # fmt: skip # noqa: E501


class _Response(Protocol):
    status_code: int
    headers: Mapping[str, str]


def failure(error: BaseException, *, secrets: Sequence[str], now: datetime, sent: bool) -> CallFailed:
    """The failure; ``sent`` says whether a request left for the provider.

    What litellm calls an error says little (a connection that broke is a 500 to it), so the errors behind it are asked
    first: whether the provider answered, and with what status.
    """
    causes = list(_causes(error))
    names = {type(cause).__name__ for cause in causes}
    detail = _words(error, secrets)
    response = next((found for cause in causes if (found := _answered(cause)) is not None), None)
    if response is None:
        return _without_answer(causes, names, detail, sent=sent)
    status = response.status_code
    if status == TOO_MANY:
        return CallFailed("rate_limited", status=status, detail=detail, retry_after=retry_after(response.headers, now))
    if status in TIMEOUTS:
        return CallFailed("timeout", status=status, detail=detail)
    if status == TOO_LARGE or names & _PROMPT_FAULTS or _codes(causes) & _PROMPT_CODES:
        return CallFailed("refused", detail=detail)
    if status in SETTINGS_STATUSES:
        return CallFailed("refused", status=status, detail=detail)
    after = retry_after(response.headers, now)
    return CallFailed("provider_error", status=status, detail=detail, retry_after=after)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that the provider asks us to wait, at most a day; None where it says nothing of use."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return _bounded(seconds)
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _bounded((moment - now).total_seconds())


def _without_answer(causes: list[BaseException], names: set[str], detail: str, *, sent: bool) -> CallFailed:
    if names & _TIMEOUTS or any(isinstance(cause, asyncio.TimeoutError) for cause in causes):
        return CallFailed("timeout", detail=detail)
    if any(isinstance(cause, OSError) or type(cause).__module__.startswith(_UNREACHED) for cause in causes):
        return CallFailed("unreachable", detail=detail)
    if names & _PROMPT_FAULTS:
        return CallFailed("refused", detail=detail)
    if not sent and names & _SETTINGS:
        # The library itself will not send this: an unknown provider, a parameter that the model does not take.
        return CallFailed("refused", status=BAD_SETTINGS, detail=detail)
    return CallFailed("provider_error", detail=detail)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(CAUSES_MAX):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _answered(cause: BaseException) -> _Response | None:
    """The provider's own answer, where this error is about one; litellm makes some up, which have no request's end."""
    if type(cause).__module__.startswith("litellm"):
        return None
    response = getattr(cause, "response", None)
    return cast("_Response", response) if isinstance(getattr(response, "status_code", None), int) else None


def _codes(causes: Iterable[BaseException]) -> set[str]:
    return {code for cause in causes if isinstance(code := getattr(cause, "code", None), str)}


def _words(error: BaseException, secrets: Sequence[str]) -> str:
    # Before it is cut to a readable length, so that no part of a key is left at the end.
    text = redacted(without(f"{type(error).__name__}: {error}"[:SAID_MAX], secrets), secrets)
    plain = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return plain[:DETAIL_MAX]


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_MAX)
