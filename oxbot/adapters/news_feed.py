"""An RSS or Atom feed over HTTP as a source of news: asked politely, believed in nothing, followed nowhere private."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from oxbot.adapters.news_addresses import check_address, is_public
from oxbot.adapters.news_xml import moment, read_feed
from oxbot.app.news.source import NewsItem, NewsUnavailable

BYTES_MAX = 2 << 20
TIMEOUT_SECONDS = 20.0
REDIRECTS_MAX = 3
RETRY_SECONDS_MAX = 86_400.0
HEADERS = {
    "User-Agent": "oxbot/0.1 (feed reader)",
    "Accept": "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.8",
    # What is not compressed cannot grow.
    "Accept-Encoding": "identity",
}

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK, _NOT_MODIFIED = 200, 304


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses; what is resolved is what is connected to, so it cannot change in between."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host; ``OSError`` if any of them is not public."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results = []
        for kind, _, protocol, _, address in found:
            if not is_public(str(address[0])):
                raise OSError("a name that leads to an address which is not public")
            results.append(
                ResolveResult(
                    hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )  # fmt: skip
        return results

    async def close(self) -> None:
        """Nothing is held."""


class FeedNews:
    """Implements ``NewsSource``. One request per reading, and none is answered twice with the same content.

    With ``private``, which is the operator's to say, the feed itself may be on a private network or without TLS; then
    a redirect leads nowhere but to the same host.
    """

    def __init__(self, name: str, url: str, *, private: bool = False, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._name = name
        self._url = url
        self._private = private
        self._timeout_seconds = timeout_seconds
        self._validators: dict[str, str] = {}
        self._last: Sequence[NewsItem] = ()

    @property
    def name(self) -> str:
        """The name that its stream has."""
        return self._name

    async def read(self) -> Sequence[NewsItem]:
        """See ``NewsSource.read``."""
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=None if self._private else PublicResolver(), use_dns_cache=False, force_close=True
                ),
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=HEADERS,
                auto_decompress=False,
                trust_env=False,
            ) as session:
                return await self._fetched(session)
        except TimeoutError:
            raise NewsUnavailable("no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # What the server said may be in the error's text.
            raise NewsUnavailable(f"it cannot be reached ({type(error).__name__})") from None

    async def _fetched(self, session: aiohttp.ClientSession) -> Sequence[NewsItem]:
        url = self._url
        for _ in range(REDIRECTS_MAX + 1):
            check_address(url, private=self._private)
            async with session.get(url, headers=self._validators, allow_redirects=False) as response:
                if response.status in _REDIRECTS:
                    url = self._led(url, response.headers.get("Location", ""))
                    continue
                return await self._answered(response)
        raise NewsUnavailable("too many redirects")

    async def _answered(self, response: aiohttp.ClientResponse) -> Sequence[NewsItem]:
        if response.status == _NOT_MODIFIED and self._validators:
            return self._last
        if response.status != _OK:
            wait = _retry_after(response.headers.get("Retry-After", ""))
            raise NewsUnavailable(f"it answers with status {response.status}", retry_after=wait)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise NewsUnavailable("it answers in a compressed form, which was not asked for")
        self._last = read_feed(await _content(response))
        named = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
        self._validators = {
            named[header]: response.headers[header]
            for header in named
            if 0 < len(response.headers.get(header, "")) <= 500  # noqa: PLR2004 - no server needs more
        }
        return self._last

    def _led(self, url: str, location: str) -> str:
        led = urljoin(url, location)
        if self._private and _origin(led) != _origin(self._url):
            raise NewsUnavailable("it leads to another host")
        return led


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        content += chunk
        if len(content) > BYTES_MAX:
            raise NewsUnavailable(f"more than {BYTES_MAX} bytes")
    return bytes(content)


def _retry_after(said: str) -> float | None:
    """In seconds, whether it is said as a number or as a date."""
    if said.strip().isdecimal():
        return min(float(said.strip()[:9]), RETRY_SECONDS_MAX)
    until = moment(said)
    if until is None:
        return None
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), RETRY_SECONDS_MAX)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port
