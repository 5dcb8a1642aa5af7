"""Loads ccxt, once per process and only where a venue is spoken to, and opens its exchanges as we use them."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Literal, Protocol, cast

from oxbot.adapters.ccxt_lean import lean
from oxbot.adapters.ccxt_urls import VenueAddresses, redirected
from oxbot.adapters.venue_credentials import VenueCredentials
from oxbot.adapters.venue_profiles import VenueProfile, profile_of
from oxbot.app.venue import VenueUnfit

TIMEOUT_SECONDS = 10.0
CLOSE_SECONDS = 10.0

Kind = Literal["ccxt.pro", "ccxt.async_support"]


class Exchange(Protocol):
    """What we use of a ccxt exchange; its calls of a venue's own endpoints are looked up by name."""

    id: str
    urls: dict[str, object]
    options: dict[str, object]
    headers: dict[str, str]
    markets: Mapping[str, Mapping[str, object]] | None
    cafile: str
    ssl_context: ssl.SSLContext | None
    sign: Callable[..., dict[str, object]]
    nonce: Callable[[], float]
    handle_errors: Callable[..., object]

    async def load_markets(self, reload: bool = False) -> Mapping[str, Mapping[str, object]]:  # noqa: FBT001, FBT002  # ccxt's own signature
        """Every symbol that there is."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    def set_sandbox_mode(self, enable: bool) -> None:  # noqa: FBT001  # ccxt's own signature
        """Trade with play money."""
        ...


def open_exchange(
    venue: str,
    *,
    kind: Kind = "ccxt.pro",
    addresses: VenueAddresses | None = None,
    demo: bool = False,
    credentials: VenueCredentials | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Exchange:
    """A ccxt exchange whose numbers are exact strings, which never retries and never waits for a limit of its own.

    Close it with ``close_exchange``. Raises ``VenueUnfit`` for a venue that is not in our table, or has no demo mode.
    """
    profile = profile_of(venue)
    settings: dict[str, object] = {
        "number": str,
        "enableRateLimit": False,
        # Currencies are read with a right over funds that a trading key need not have, and nothing here needs them.
        "has": {"fetchCurrencies": False},
        "timeout": int(timeout_seconds * 1000),
        "options": {"maxRetriesOnFailure": 0, **profile.ccxt_options},
    }
    if credentials is not None:
        settings["apiKey"] = credentials.api_key.reveal()
        settings["secret"] = credentials.secret.reveal()
        if credentials.password is not None:
            settings["password"] = credentials.password.reveal()
    exchange = cast("Exchange", getattr(_module(kind), profile.ccxt_id)(settings))
    exchange.ssl_context = _trusting(exchange.cafile)
    _enter_demo(exchange, profile, demo=demo)
    if addresses is not None:
        exchange.urls["api"] = redirected(exchange.urls["api"], addresses)
    return exchange


async def close_exchange(exchange: Exchange) -> None:
    """Close it, whatever is still waiting for it; ccxt cancels those, and a cancellation must not reach the closer."""
    task = asyncio.current_task()
    asked_before = 0 if task is None else task.cancelling()
    with suppress(TimeoutError):
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await exchange.close()
        except asyncio.CancelledError:
            if task is not None and task.cancelling() > asked_before:
                raise


def call_named(exchange: Exchange, name: str) -> Callable[[object], Awaitable[object]]:
    """The exchange's call of one endpoint of its venue, such as "private_get_trade_order"."""
    return cast("Callable[[object], Awaitable[object]]", getattr(exchange, name))


def error_kind(name: str) -> type[Exception]:
    """One of ccxt's exceptions; asked for by name, since importing ccxt is dear."""
    return cast("type[Exception]", getattr(_module("ccxt.base.errors"), name))


def _module(name: str) -> ModuleType:
    lean()
    return import_module(name)


@cache
def _trusting(authorities: str) -> ssl.SSLContext:
    """What ccxt makes for every exchange anew, which takes longer than all the rest of it."""
    return ssl.create_default_context(cafile=authorities)


def _enter_demo(exchange: Exchange, profile: VenueProfile, *, demo: bool) -> None:
    if not demo:
        return
    if profile.demo_switch is None:
        raise VenueUnfit(f"{profile.venue} has no demo mode")
    getattr(exchange, profile.demo_switch)(True)  # noqa: FBT003  # ccxt's own signature
