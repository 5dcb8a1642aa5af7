"""Reads an item of news by word lists: which symbols it names, and how good or bad what is said is for them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from events.identifiers import Symbol
from events.news import NewsEvent
from oxbot.core.news_text import SUMMARY_LETTERS_MAX, NewsText, cleaned

Tone = Literal[-2, -1, 0, 1, 2]
TONES: Mapping[int, Tone] = {-2: -2, -1: -1, 0: 0, 1: 1, 2: 2}
SYMBOLS_PER_ITEM_MAX = 5
"""Who names more of them than this says nothing of any."""

COIN_NAMES: Mapping[str, tuple[str, ...]] = {
    "BTC": ("bitcoin",), "ETH": ("ethereum", "ether"), "SOL": ("solana",), "XRP": ("ripple labs",),
    "DOGE": ("dogecoin",),
    "ADA": ("cardano",), "BNB": ("binance coin",), "TRX": ("tron",), "AVAX": ("avalanche network",),
    "DOT": ("polkadot",),
    "LINK": ("chainlink",), "LTC": ("litecoin",), "BCH": ("bitcoin cash",), "UNI": ("uniswap",),
    "ATOM": ("cosmos hub",),
    "XLM": ("stellar lumens",), "NEAR": ("near protocol",), "APT": ("aptos",), "ARB": ("arbitrum",), "SUI": (),
    "FIL": ("filecoin",), "AAVE": (), "TON": ("toncoin",), "SHIB": ("shiba inu",), "PEPE": (),
    "ETC": ("ethereum classic",),
}  # fmt: skip
"""What coins are called beside their tickers; a name that is also a common word is left out."""

_SAID: Mapping[tuple[NewsEvent, int], str] = {
    ("hack", -2): "hack|hacked|hacker|hackers|exploit|exploited|stolen|drained|breach|breached|rug pull",
    ("delisting", -2): "delist|delists|delisted|delisting",
    ("listing", 1): "lists|listed|listing",
    ("regulation", -2): "ban|bans|banned|outlaws|outlawed|crackdown",
    ("regulation", 2): "approves|approved|approval|greenlights|legalises|legalizes",
    ("legal", -2): "bankrupt|bankruptcy|insolvent|insolvency|indicted|fraud|halts withdrawals",
    ("legal", -1): "sues|sued|lawsuit|charges|charged|subpoena|probe|investigation",
    ("legal", 1): "settles|settled|settlement|acquitted|dismissed",
    ("upgrade", 1): "upgrade|upgrades|upgraded|mainnet|hard fork",
    ("partnership", 1): "partners|partnership|integrates|integration|adopts|adoption",
    ("flows", 1): "inflow|inflows|accumulates|accumulation",
    ("flows", -1): "outflow|outflows|sell-off|selloff|liquidations|liquidated|dumps",
    ("macro", -1): "rate hike|rate hikes|inflation rises|recession",
    ("macro", 1): "rate cut|rate cuts|inflation falls",
    ("other", 2): "record high|all-time high",
    ("other", 1): "surges|soars|rallies|rally|jumps|gains|climbs|rebounds",
    ("other", -1): "plunges|plummets|tumbles|slumps|drops|falls|slides|sinks",
    ("other", -2): "crash|crashes|crashed|collapse|collapses|collapsed",
}
_TOLD: Mapping[tuple[NewsEvent, int], re.Pattern[str]] = {
    said: re.compile(rf"\b(?:{phrases})\b") for said, phrases in _SAID.items()
}
_DENIED = re.compile(r"\b(?:not|no|never|denies|denied|without|isn't|wasn't|won't)(?:\s+\S+){0,2}\s*$")


class Followed(NamedTuple):
    """A symbol that somebody trades, and what the coin is called; a ticker counts in capitals only, as a word."""

    symbol: Symbol
    ticker: str
    names: tuple[str, ...] = ()


class Read(NamedTuple):
    """What the word lists make of an item."""

    symbols: tuple[Symbol, ...]
    tone: Tone
    event: NewsEvent


class NotRead(NamedTuple):
    """Why the word lists make nothing of it; no word of it is in here."""

    fault: str


def followed(symbols: Collection[Symbol], names: Mapping[str, Sequence[str]] | None = None) -> tuple[Followed, ...]:
    """What these symbols are known by, ``names`` being said beside what everybody calls a coin."""
    found = []
    for symbol in sorted(symbols):
        ticker = symbol.split("/")[0].upper()
        called = (*COIN_NAMES.get(ticker, ()), *(names or {}).get(ticker, ()))
        found.append(Followed(symbol, ticker, tuple(name.lower() for name in called)))
    return tuple(found)


def named(text: NewsText, known: Sequence[Followed]) -> tuple[Symbol, ...]:
    """The symbols that the text names, in order; a longer name that holds a shorter one is that one alone."""
    said = f"{cleaned(text.title)} . {cleaned(text.summary, letters_max=SUMMARY_LETTERS_MAX)}"
    lower = said.lower()
    # In capitals throughout, every word looks like a ticker.
    tickers = set() if said.isupper() else {each.ticker for each in known if _word(each.ticker, said)}
    tickers |= {each.ticker for each in known if f"${each.ticker}" in said.split()}
    for name, ticker in _names(known):
        if _word(name, lower):
            tickers.add(ticker)
            lower = re.sub(rf"\b{re.escape(name)}\b", " ", lower)
    return tuple(sorted(each.symbol for each in known if each.ticker in tickers))


def read_by_words(text: NewsText, known: Sequence[Followed]) -> Read | NotRead:
    """What is said of which symbols; what the lists do not know is not taken to be neutral."""
    symbols = named(text, known)
    if not symbols:
        return NotRead("it names no symbol that is followed")
    if len(symbols) > SYMBOLS_PER_ITEM_MAX:
        return NotRead("it names too many symbols")
    told = _tones(cleaned(text.title)) or _tones(cleaned(text.summary, letters_max=SUMMARY_LETTERS_MAX))
    if not told:
        return NotRead("no word of it is in the lists")
    strongest = max(told, key=lambda each: (abs(each[1]), each[0]))
    return Read(symbols, TONES[max(-2, min(2, sum(tone for _, tone in told)))], strongest[0])


def _names(known: Sequence[Followed]) -> list[tuple[str, str]]:
    """Every name of every coin, followed or not, the longest first."""
    names = {name: ticker for ticker, called in COIN_NAMES.items() for name in called}
    names |= {name: each.ticker for each in known for name in each.names}
    return sorted(names.items(), key=lambda pair: (-len(pair[0]), pair))


def _tones(text: str) -> list[tuple[NewsEvent, int]]:
    """What is said, each thing once; what is denied is said the other way round, and not as strongly."""
    lower, found = text.lower(), []
    for (event, tone), phrases in _TOLD.items():
        hit = phrases.search(lower)
        if hit is not None:
            denied = _DENIED.search(lower[: hit.start()]) is not None
            found.append((event, (-1 if tone > 0 else 1) if denied else tone))
    return found


def _word(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(word)}(?!\w)", text) is not None
