"""How ccxt is opened: for venues that are known, with exact numbers, pointed where we say, closed in order."""

import asyncio
import ssl
from collections.abc import Iterator

import pytest

from oxbot.adapters.ccxt_loading import close_exchange, open_exchange
from oxbot.adapters.ccxt_urls import VenueAddresses
from oxbot.adapters.ccxt_venue import open_ccxt_venue
from oxbot.adapters.venue_profiles import codes, profile_of
from oxbot.app.clock import SystemClock
from oxbot.app.venue import VenueUnfit
from tests.adapters.scripted_okx import CREDENTIALS

pytestmark = pytest.mark.anyio

HERE = VenueAddresses(rest="http://127.0.0.1:9", ws="ws://127.0.0.1:9")
VENUES = ("okx", "binance", "bybit", "kraken")


def leaves(urls: object) -> Iterator[str]:
    """Every address in ccxt's table."""
    if isinstance(urls, dict):
        for value in urls.values():
            yield from leaves(value)
    elif isinstance(urls, str):
        yield urls


@pytest.mark.parametrize("demo", [False, True])
@pytest.mark.parametrize("venue", VENUES)
async def test_every_address_of_a_venue_can_be_moved_in_either_mode(venue: str, *, demo: bool) -> None:
    if demo and venue == "kraken":
        with pytest.raises(VenueUnfit, match="no demo mode"):
            open_exchange(venue, demo=demo)
        return
    exchange = open_exchange(venue, addresses=HERE, demo=demo)
    moved = list(leaves(exchange.urls["api"]))
    assert moved
    assert [url for url in moved if not url.startswith((HERE.rest, HERE.ws))] == []
    await close_exchange(exchange)


@pytest.mark.parametrize("venue", VENUES)
async def test_numbers_are_exact_and_nothing_is_retried_or_held_back_by_ccxt(venue: str) -> None:
    exchange = open_exchange(venue, credentials=CREDENTIALS)
    assert vars(exchange)["number"] is str
    assert vars(exchange)["enableRateLimit"] is False
    assert exchange.options["maxRetriesOnFailure"] == 0
    await close_exchange(exchange)


async def test_who_is_trusted_is_read_once_and_checked_by_every_exchange() -> None:
    one, other = open_exchange("okx"), open_exchange("kraken")
    assert one.ssl_context is other.ssl_context
    assert one.ssl_context is not None
    assert one.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert one.ssl_context.check_hostname
    assert one.ssl_context.cert_store_stats()["x509_ca"] > 50
    await close_exchange(one)
    await close_exchange(other)


async def test_the_paths_of_okx_stay_where_its_hosts_are_moved() -> None:
    exchange = open_exchange("okx", addresses=HERE)
    assert exchange.urls["api"] == {"rest": "http://127.0.0.1:9", "ws": "ws://127.0.0.1:9/ws/v5"}
    await close_exchange(exchange)


@pytest.mark.parametrize(
    ("venue", "words"), [("mtgox", "not among the venues"), ("kraken", "client ids"), ("bybit", "not been tried")]
)
async def test_no_live_orders_go_to_a_venue_that_they_cannot_be_trusted_to(venue: str, words: str) -> None:
    with pytest.raises(VenueUnfit, match=words):
        async with open_ccxt_venue(venue, CREDENTIALS, clock=SystemClock()):
            pass


@pytest.mark.parametrize("venue", VENUES)
def test_what_names_a_duplicate_is_never_a_refusal_of_the_order(venue: str) -> None:
    profile = profile_of(venue)
    assert profile.duplicates & profile.refusals == set()


def test_the_codes_that_leave_it_open_what_happened_are_no_refusals() -> None:
    unclear = codes("50001 50004 50013 50026 50037 50042 50071 51011 51016 51054 51065 51068 51149 51412")
    assert profile_of("okx").refusals & unclear == set()


async def test_closing_survives_the_cancellation_that_ccxt_raises_and_not_the_closers_own() -> None:
    class Closing:
        """An exchange whose close behaves so."""

        def __init__(self) -> None:
            self.entered = asyncio.Event()

        async def close(self) -> None:
            self.entered.set()
            await asyncio.sleep(60)

    class Cancelling(Closing):
        async def close(self) -> None:
            raise asyncio.CancelledError

    await close_exchange(Cancelling())  # type: ignore[arg-type]  # all that closing needs
    slow = Closing()
    closer = asyncio.create_task(close_exchange(slow))  # type: ignore[arg-type]  # all that closing needs
    await slow.entered.wait()
    closer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closer
