"""Opens an account at a venue for live trading over ccxt, and closes it in order."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from oxbot.adapters.ccxt_hints import CcxtHints, Stream
from oxbot.adapters.ccxt_loading import TIMEOUT_SECONDS, Exchange, call_named, close_exchange, open_exchange
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.ccxt_wire import CcxtWire
from oxbot.adapters.okx_markets import OkxMarkets
from oxbot.adapters.okx_venue import OkxVenue
from oxbot.adapters.rate_limiter import RateLimiter
from oxbot.adapters.venue_credentials import VenueCredentials
from oxbot.adapters.venue_profiles import profile_of
from oxbot.app.clock import Clock
from oxbot.app.venue import Venue, VenueUnfit


@asynccontextmanager
async def open_ccxt_venue(
    venue: str,
    credentials: VenueCredentials,
    *,
    clock: Clock,
    demo: bool = False,
    addresses: VenueAddresses | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> AsyncIterator[Venue]:
    """The account of these credentials, with its mode checked.

    Raises ``VenueUnfit`` for a venue or an account that live orders cannot be trusted to, ``VenueRefused`` for wrong
    keys and the like, ``VenueUnavailable`` if the venue does not answer.
    """
    profile = profile_of(venue)
    if profile.unfit:
        raise VenueUnfit(f"no live orders at {venue}: {profile.unfit}")
    exchange = open_exchange(
        venue, addresses=addresses, demo=demo, credentials=credentials, timeout_seconds=timeout_seconds
    )
    try:
        async with RateLimiter(profile.limits, clock=clock) as limiter:
            wire = CcxtWire(exchange, profile, limiter, secrets=credentials.secrets, timeout_seconds=timeout_seconds)
            markets = OkxMarkets((await wire.load_markets()).values())
            hints = CcxtHints(_streams(exchange), clock=clock, redact=wire.redacted)
            opened = OkxVenue(wire, markets, clock=clock, hints=hints)
            await opened.check_mode()
            try:
                yield opened
            finally:
                await hints.stop()
    finally:
        await close_exchange(exchange)


def _streams(exchange: Exchange) -> dict[str, Stream]:
    """Orders, and orders at a trigger, which OKX pushes on another connection."""
    log_in, watch = call_named(exchange, "authenticate"), call_named(exchange, "watch_orders")

    def orders(access: str, *, trigger: bool) -> Stream:
        def ready() -> Awaitable[object]:
            return log_in({"access": access})

        def watched() -> Awaitable[object]:
            return watch(None, None, None, {"trigger": trigger})  # type: ignore[call-arg]  # ccxt's own signature

        return Stream(ready, watched)

    return {"orders": orders("private", trigger=False), "orders at a trigger": orders("business", trigger=True)}
