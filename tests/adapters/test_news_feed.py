"""A feed over HTTP: read politely, whatever it answers is a reading or a reason, and it leads nowhere private."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from oxbot.adapters.news_addresses import check_address, is_public
from oxbot.adapters.news_feed import BYTES_MAX, FeedNews, PublicResolver
from oxbot.adapters.news_xml import ITEMS_MAX, moment, read_feed
from oxbot.app.news.source import NewsUnavailable

pytestmark = pytest.mark.anyio

RSS = b"""<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>The wire</title><item><title>Bitcoin &amp; friends</title><description><![CDATA[<b>rally</b>]]></description>
<pubDate>Sun, 01 Mar 2026 12:00:00 +0100</pubDate><guid>g-1</guid></item>
<item><title>No zone</title><pubDate>2026-03-01T12:00:00</pubDate><link>https://example.org/2</link></item>
<item><description>no title</description></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title><entry><id>a-1</id>
<title type="html">ETH up</title>
<link href="https://example.org/a"/><updated>2026-03-01T09:30:00Z</updated><summary>s</summary></entry></feed>"""
RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
xmlns:dc="http://purl.org/dc/elements/1.1/"><item rdf:about="u"><title>Old form</title><dc:date>
2026-03-01T10:00:00+02:00</dc:date></item></rdf:RDF>"""
LAUGHS = b"""<!DOCTYPE rss [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;">]><rss><channel><item><title>&b;</title></item>
</channel></rss>"""
OUTSIDE = b"""<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><channel><item><title>&x;</title></item>
</channel></rss>"""

Answer = Callable[[web.Request], web.StreamResponse]


class Site:
    """A server that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: web.Response(body=RSS)
        self.asked: list[web.Request] = []
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return self.answer(request)

    def feed(self, host: str = "127.0.0.1", *, timeout_seconds: float = 5.0) -> FeedNews:
        return FeedNews("wire", f"http://{host}:{self.port}/feed", private=True, timeout_seconds=timeout_seconds)


@asynccontextmanager
async def served() -> AsyncIterator[Site]:
    site, app = Site(), web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        await runner.cleanup()


async def fault(feed: FeedNews) -> NewsUnavailable:
    with pytest.raises(NewsUnavailable) as caught:
        await feed.read()
    return caught.value


def test_the_forms_of_feeds_are_read_and_a_date_without_a_zone_is_no_date() -> None:
    first, second = read_feed(RSS)
    assert (first.text.title, first.text.summary, first.text.key) == ("Bitcoin & friends", "<b>rally</b>", "g-1")
    assert first.published_at == datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert (second.published_at, second.text.key) == (None, "https://example.org/2")
    [atom] = read_feed(ATOM)
    assert (atom.text.key, atom.text.title, atom.published_at) == (
        "a-1",
        "ETH up",
        datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    )
    [rdf] = read_feed(RDF)
    assert (rdf.text.title, rdf.published_at) == ("Old form", datetime(2026, 3, 1, 8, tzinfo=UTC))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (LAUGHS, "a feed that is refused: it has a document type"),
        (OUTSIDE, "a feed that is refused: it has a document type"),
        (b"<rss>" + b"<a>" * 100 + b"</a>" * 100 + b"</rss>", "a feed that is refused: it is nested too deeply"),
        (b"<html><body>buy bitcoin</body></html>", "an answer that is no feed"),
        (b"", "an answer that is no XML"),
        (b"{}", "an answer that is no XML"),
        (RSS[:-30], "an answer that is no XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><rss/>', "an answer that is no XML"),
    ],
)
def test_what_is_no_feed_is_refused_in_words_of_ours(content: bytes, why: str) -> None:
    with pytest.raises(NewsUnavailable) as caught:
        read_feed(content)
    assert caught.value.fault == why


def test_items_and_their_texts_are_bounded() -> None:
    one = b"<item><title>" + b"long " * 10_000 + b"</title></item>"
    found = read_feed(b"<rss><channel>" + one * (ITEMS_MAX + 50) + b"</channel></rss>")
    assert len(found) == ITEMS_MAX
    assert len(found[0].text.title) <= 4_000


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"<rss><item><title>{text}".encode()))
def test_whatever_a_server_sends_is_a_feed_or_a_reason(content: bytes) -> None:
    with suppress(NewsUnavailable):
        assert len(read_feed(content)) <= ITEMS_MAX


@given(st.text(max_size=60))
def test_whatever_a_date_says_it_is_a_moment_or_none(said: str) -> None:
    found = moment(said)
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize(
    "said", ["", "2026-03-01", "Sun, 01 Mar 2026 12:00:00 -0000", "0001-01-01T00:00:00+14:00", "now"]
)
def test_a_date_that_says_no_zone_or_nothing_is_none(said: str) -> None:
    assert moment(said) is None


async def test_a_feed_is_asked_whether_it_changed() -> None:
    async with served() as site:
        feed = site.feed()
        site.answer = lambda _: web.Response(
            body=RSS, headers={"ETag": '"1"', "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
        )
        first = await feed.read()
        site.answer = lambda _: web.Response(status=304)
        assert await feed.read() == first
        assert site.asked[1].headers["If-None-Match"] == '"1"'
        assert site.asked[1].headers["If-Modified-Since"] == "Sun, 01 Mar 2026 12:00:00 GMT"
        assert site.asked[1].headers["Accept-Encoding"] == "identity"
        assert "Cookie" not in site.asked[1].headers


async def test_a_304_to_who_has_nothing_is_a_failure() -> None:
    async with served() as site:
        site.answer = lambda _: web.Response(status=304)
        assert (await fault(site.feed())).fault == "it answers with status 304"


async def test_a_refusal_says_when_to_come_back() -> None:
    async with served() as site:
        site.answer = lambda _: web.Response(status=429, headers={"Retry-After": "120"}, text="obey")
        failed = await fault(site.feed())
        assert (failed.fault, failed.retry_after) == ("it answers with status 429", 120)
        site.answer = lambda _: web.Response(status=503, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})
        assert (await fault(site.feed())).retry_after == 86_400
        site.answer = lambda _: web.Response(status=503, headers={"Retry-After": "soon"})
        assert (await fault(site.feed())).retry_after is None


async def test_what_is_too_long_or_compressed_is_not_read() -> None:
    async with served() as site:
        site.answer = lambda _: web.Response(body=b"x" * (BYTES_MAX + 1))
        assert (await fault(site.feed())).fault == f"more than {BYTES_MAX} bytes"
        site.answer = lambda _: web.Response(body=RSS, headers={"Content-Encoding": "gzip"})
        assert "compressed" in (await fault(site.feed())).fault


async def test_what_hangs_or_is_not_there_is_given_up() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<rss>")
        await asyncio.sleep(30)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    assert (await fault(FeedNews("w", url, private=True, timeout_seconds=0.2))).fault == "no answer in time"
    server.close()
    gone = await fault(FeedNews("w", "http://127.0.0.1:1/", private=True))
    assert gone.fault.startswith("it cannot be reached")


async def test_a_redirect_of_a_private_feed_stays_at_its_host() -> None:
    async with served() as site:
        site.answer = lambda request: (
            web.Response(body=RSS) if request.path == "/new" else web.Response(status=302, headers={"Location": "/new"})
        )
        assert len(await site.feed().read()) == 2
        site.answer = lambda _: web.Response(status=302, headers={"Location": "http://169.254.169.254/latest"})
        assert (await fault(site.feed())).fault == "it leads to another host"
        site.answer = lambda _: web.Response(status=302, headers={"Location": "/feed"})
        assert (await fault(site.feed())).fault == "too many redirects"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "https://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://2130706433/", "https://0x7f.1/",
        "https://127.1/", "https://[fe80::1%25eth0]/", "file:///etc/passwd", "https://user:secret@example.org/",
        "https:///x", "https://[bad/", "https://example.org:99999/", "ftp://example.org/", "https://224.0.0.1/",
        "https://100.64.0.1/", "https://0.0.0.0/", "https://192.168.1.1./",
    ],
)  # fmt: skip
async def test_no_public_feed_is_or_leads_to_such_an_address(url: str) -> None:
    with pytest.raises(NewsUnavailable) as caught:
        await FeedNews("wire", url).read()
    assert caught.value.fault.startswith("an address")
    assert "secret" not in caught.value.fault


async def test_a_name_that_leads_to_this_machine_is_not_connected_to() -> None:
    async with served() as site:
        failed = await fault(FeedNews("wire", f"https://localhost:{site.port}/"))
        assert failed.fault.startswith("it cannot be reached")
        assert site.asked == []
    with pytest.raises(OSError, match="not public"):
        await PublicResolver().resolve("localhost", 443)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")
    assert not is_public("not an address")
    check_address("https://example.org/feed", private=False)
    check_address("https://93.184.216.34/feed", private=False)
    check_address("http://10.0.0.1/feed", private=True)
