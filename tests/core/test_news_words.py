"""Items are read by whole words, and what the lists do not know is not taken for neutral."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.identifiers import Symbol
from oxbot.core.news_text import NewsText, cleaned, likeness, words
from oxbot.core.news_words import NotRead, Read, followed, named, read_by_words

SYMBOLS = [Symbol(f"{coin}/USDT") for coin in ("BTC", "ETH", "NEAR", "SOL")]
KNOWN = followed(SYMBOLS)
ONLY_ETH = followed([Symbol("ETH/USDT")])


def title(text: str) -> NewsText:
    return NewsText(title=text)


@pytest.mark.parametrize(
    ("text", "tone", "event"),
    [
        ("Bitcoin surges", 1, "other"),
        ("BTC bridge hacked, funds stolen", -2, "hack"),
        ("Regulator approves Bitcoin fund", 2, "regulation"),
        ("Regulator has not approved Bitcoin fund", -1, "regulation"),
        ("Bitcoin falls as fund sees inflows", 0, "other"),
        ("<b>Bitcoin</b> &amp; friends: crash!", -2, "other"),
        ("\N{ZERO WIDTH SPACE}Bit\N{ZERO WIDTH JOINER}coin cr\N{SOFT HYPHEN}ash", -2, "other"),
    ],
)
def test_what_is_said_is_read(text: str, tone: int, event: str) -> None:
    assert read_by_words(title(text), KNOWN) == Read((SYMBOLS[0],), tone, event)  # type: ignore[arg-type]  # text of a test


@pytest.mark.parametrize(
    "text", ["Binance opens an office for Bitcoin", "Bitcoin workflow of traders", "Bitcoin's urban life"]
)
def test_a_word_within_a_word_says_nothing(text: str) -> None:
    """The audited system found "ban" in "Binance" and "low" in "flow"."""
    assert read_by_words(title(text), KNOWN) == NotRead("no word of it is in the lists")


def test_the_summary_is_read_where_the_title_says_nothing() -> None:
    text = NewsText(title="About Bitcoin", summary="It was hacked.")
    assert read_by_words(text, KNOWN) == Read((SYMBOLS[0],), -2, "hack")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Traders near the limit sol", ()),
        ("NEAR and SOL rally", ("NEAR/USDT", "SOL/USDT")),
        ("TRADERS NEAR RECORD HIGH", ()),
        ("BUY $NEAR NOW", ("NEAR/USDT",)),
        ("bitcoin and Ether", ("BTC/USDT", "ETH/USDT")),
        ("Bitcoin Cash and Ethereum Classic crash", ()),
        ("WBTC and BTCB", ()),
        ("\N{CYRILLIC CAPITAL LETTER VE}TC surges", ()),
    ],
)
def test_symbols_are_named_by_their_coins(text: str, found: tuple[str, ...]) -> None:
    assert named(title(text), KNOWN) == found


def test_a_coin_that_nobody_follows_is_not_taken_for_another() -> None:
    assert named(title("Ethereum Classic crashes"), ONLY_ETH) == ()
    assert named(title("Ethereum Classic falls, Ethereum does not"), ONLY_ETH) == (Symbol("ETH/USDT"),)


def test_who_names_everything_says_nothing() -> None:
    many = followed([Symbol(f"{coin}/USDT") for coin in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE")])
    assert isinstance(read_by_words(title("$BTC $ETH $SOL $XRP $ADA $DOGE crash"), many), NotRead)


@given(st.text(max_size=2_000), st.text(max_size=2_000))
def test_whatever_a_text_is_it_is_read_or_not(one: str, other: str) -> None:
    read = read_by_words(NewsText(title=one, summary=other), KNOWN)
    assert isinstance(read, NotRead) or (-2 <= read.tone <= 2 and set(read.symbols) <= set(SYMBOLS))


@given(st.text(max_size=3_000))
def test_a_cleaned_text_is_one_short_line_of_letters_that_are_seen(text: str) -> None:
    found = cleaned(text)
    assert len(found) <= 300
    assert found == found.strip()
    assert found.isprintable()
    assert not any(0xE0000 <= ord(letter) <= 0xE007F for letter in found)


def test_a_copy_is_told_by_its_words() -> None:
    one = words("Exchange hacked: 40 million drained from hot wallet")
    assert likeness(one, words("BREAKING: exchange HACKED, 40 million drained from hot wallet")) > 0.8
    assert likeness(one, words("Rates unchanged, says central bank")) == 0
