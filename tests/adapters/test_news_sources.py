"""Sources without a network, and the table that names them all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from events.identifiers import Symbol
from oxbot.adapters.news_recorded import InvalidNewsFile, RecordedNews, read_news_file
from oxbot.adapters.news_synthetic import SyntheticNews
from oxbot.adapters.news_table import InvalidNewsTable, read_news_table
from oxbot.core.news_words import Read, followed, read_by_words
from oxbot.core.sentiment import WINDOW
from tests.app.fakes import SteppingClock

pytestmark = pytest.mark.anyio

SYMBOLS = [Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT")]
AT = datetime(2026, 3, 1, tzinfo=UTC)


def synthetic(seed: int = 1, name: str = "made-up") -> SyntheticNews:
    return SyntheticNews(name, SYMBOLS, seed=seed, clock=SteppingClock(AT))


async def test_made_up_news_are_the_same_for_the_same_seed_whenever_they_are_read() -> None:
    day = list(synthetic().between(AT, AT + timedelta(days=1)))
    halves = [
        *synthetic().between(AT, AT + timedelta(hours=11)),
        *synthetic().between(AT + timedelta(hours=11), AT + timedelta(days=1)),
    ]
    assert day == halves
    assert 20 < len(day) < 45
    assert day != list(synthetic(2).between(AT, AT + timedelta(days=1)))
    assert day != list(synthetic(name="other").between(AT, AT + timedelta(days=1)))
    assert len({item.item_id for item in day}) == len(day)


async def test_made_up_news_are_there_once_their_time_has_come() -> None:
    items = await synthetic().read()
    assert items
    assert all(AT - WINDOW <= (item.received_at or AT) < AT for item in items)
    read = [read_by_words(item.text, followed(SYMBOLS)) for item in synthetic().between(AT, AT + timedelta(days=3))]
    assert {each.tone for each in read if isinstance(each, Read)} >= {-2, -1, 1, 2}


async def test_a_file_of_recorded_news_is_read_with_its_zones(tmp_path: Path) -> None:
    path = tmp_path / "news.jsonl"
    path.write_text(
        '{"title": "Bitcoin surges", "published_at": "2026-03-01T12:00:00+09:00"}\n\n'
        '{"title": "b", "published_at": "2026-03-01T00:00:00Z", "received_at": "2026-03-01T00:05:00Z", "key": "k"}\n'
    )
    first, second = await RecordedNews("wire", read_news_file(path)).read()
    assert first.published_at == first.received_at == datetime(2026, 3, 1, 3, tzinfo=UTC)
    assert second.received_at == AT + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"title": "x", "published_at": "2026-03-01T12:00:00"}', "Expected `datetime` with a timezone component"),
        ('{"title": "x"}', "missing required field `published_at`"),
        ('{"title": "", "published_at": "2026-03-01T12:00:00Z"}', "length >= 1"),
        ('{"title": "x", "published_at": "2026-03-01T12:00:00Z", "obey": 1}', "a field that is unknown"),
        ("obey", "is no JSON"),
        ("\udcff", "is no JSON"),
    ],
)
def test_a_line_that_is_wrong_is_named(line: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "news.jsonl"
    path.write_bytes(b"\n" + line.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidNewsFile) as caught:
        read_news_file(path)
    assert why in str(caught.value)
    assert f"{path}:2" in str(caught.value)
    assert "obey" not in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidNewsFile, match="cannot read"):
        read_news_file(tmp_path / "none")


def test_the_table_names_sources_and_coins(tmp_path: Path) -> None:
    path = tmp_path / "news.toml"
    path.write_text(
        '[sources.wire]\nurl = "https://example.org/rss"\nevery_seconds = 60\nextractor = "deepseek"\n'
        '[sources.made-up]\nseed = 7\n[names]\nBTC = ["orange coin"]\n'
    )
    table = read_news_table(path)
    assert [(source.name, source.extractor) for source in table.sources] == [("wire", "deepseek"), ("made-up", "words")]
    assert table.names == {"BTC": ("orange coin",)}
    assert followed(SYMBOLS[:1], table.names)[0].names == ("bitcoin", "orange coin")
    assert read_news_table(None).sources == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[sources.a]\n", "either a url or a seed"),
        ('[sources.a]\nurl = "https://example.org"\nseed = 1\n', "either a url or a seed"),
        ("[sources.made-up]\nseed = 1\nprivate = true\n", "private is for a source with a url"),
        ('[sources.a]\nurl = "http://example.org"\n', "an address that is not https"),
        ('[sources.a]\nurl = "https://10.1.1.1/"\n', "an address that is not public"),
        ("[sources.A]\nseed = 1\n", "matching regex"),
        ("[sources.a]\nseed = 1\n", "begins with made-up"),
        ('[sources.made-up-2]\nurl = "https://example.org"\n', "begins with made-up"),
        ("[sources.a]\nseed = 1\nevery_seconds = 1\n", ">= 30"),
        ("[sources.a]\nseed = 1\nname = 'b'\n", "its name is what follows"),
        ("[sources.a]\nseed = 1\nurll = 'b'\n", "unknown field"),
        ("[source.a]\n", "unknown field"),
        ("[sources", "is no TOML"),
        ("".join(f"[sources.made-up-{number}]\nseed = 1\n" for number in range(33)), "at most 32"),
    ],
)
def test_a_table_that_means_nothing_is_refused(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "news.toml"
    path.write_text(text)
    with pytest.raises(InvalidNewsTable) as caught:
        read_news_table(path)
    assert why in str(caught.value)
