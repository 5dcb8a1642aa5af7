"""What a prompt is made of: a bot's market, and for some templates its books, as text and whole numbers only.

No time and no date is in it, only ages: what looks the same is the same, whenever it was.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from events.advice import Sentiment
from events.errors import OxbotError
from events.identifiers import Symbol
from events.values import FeeSchedule, InstrumentKind
from oxbot.core.advice_account import Account, account
from oxbot.core.advice_bounds import SYMBOLS_MAX
from oxbot.core.advice_figures import BASIS_POINTS
from oxbot.core.advice_market import (
    SPAN_MINUTES,
    WINDOW,
    Higher,
    Readings,
    SeriesShown,
    Span,
    chart,
    higher,
    indicators,
    series,
    span,
)
from oxbot.core.advice_setups import Gap, News, Pain, Setups, gaps, news, pain, setups
from oxbot.core.bot_state import BotState
from oxbot.core.market_view import CandleWindow, MarketView
from oxbot.core.money import exact, text

__all__ = [
    "MARKET", "TEMPLATES", "TRADER", "WINDOW", "Chart", "Snapshot", "SymbolShown", "UnknownTemplate", "askable",
    "canonical", "digest", "schema_name", "snapshot", "template_version",
]  # fmt: skip

MARKET, TRADER = "market", "trader"
TEMPLATES: dict[str, tuple[int, ...]] = {MARKET: (1,), TRADER: (1,)}
"""The templates and their versions, the newest last. A version is for ever: what was asked with it is rendered again.

``market`` shows nothing of the bot, so that all bots that look at the same market share one prompt.
"""

DIGEST_LETTERS = 32
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,39}")
_ENCODER = msgspec.json.Encoder(order="deterministic")


class UnknownTemplate(OxbotError):
    """No template of that name, or not in that version."""


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """All that is computed of one symbol's closed candles; ``mark`` is the newest close, to its last digit."""

    mark: str
    spans: tuple[Span, ...]
    indicators: Readings
    higher: Higher
    series: SeriesShown
    pain: Pain
    setups: Setups
    gaps: tuple[Gap, ...]


class SymbolShown(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol; ``age`` is how many candles ago its newest one closed, 0 for now. ``news`` is None if unavailable."""

    symbol: Symbol
    kind: InstrumentKind
    shorting: Literal["yes", "no"]
    age: int
    chart: Chart
    news: News | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a template is given; fees in basis points of notional on each fill. ``account`` is None for ``market``."""

    schema: str
    timeframe: str
    taker_fee_bps: str
    maker_fee_bps: str
    symbols: tuple[SymbolShown, ...]
    account: Account | None = None


def snapshot(
    state: BotState,
    view: MarketView,
    symbols: Sequence[Symbol],
    template: str,
    sentiments: Iterable[Sentiment] = (),
    *,
    version: int | None = None,
) -> Snapshot:
    """What the template (in its newest version, if none is named) is given of the bot and of those of the symbols.

    The bot is as it was when it asked, the view shows the market up to the candle at which it did. Left out are symbols
    that ``askable`` leaves out. Neither the order of the symbols nor of the sentiments matters. Raises
    ``UnknownTemplate``.
    """
    bot = state.configuration
    shown = askable(view, symbols)
    known = {sentiment.symbol: sentiment for sentiment in sentiments}
    now = _newest(state, view)
    with exact():
        return Snapshot(
            schema=schema_name(template, version),
            timeframe=bot.market.timeframe,
            taker_fee_bps=_fee(bot.fees, "taker"),
            maker_fee_bps=_fee(bot.fees, "maker"),
            symbols=tuple(_shown(state, view[symbol], now, known.get(symbol)) for symbol in shown),
            account=account(state, view, shown, now) if template == TRADER and now is not None else None,
        )


def askable(view: MarketView, symbols: Iterable[Symbol]) -> tuple[Symbol, ...]:
    """Those of the symbols that a prompt can show, in order of name, at most ``SYMBOLS_MAX`` of those given first.

    They have ``WINDOW`` closed candles, and a name of letters, digits and . _ : / - only: what a venue calls its
    symbols is not ours to trust.
    """
    found = [symbol for symbol in dict.fromkeys(symbols) if _SYMBOL.fullmatch(symbol) and len(view[symbol]) >= WINDOW]
    return tuple(sorted(found[:SYMBOLS_MAX]))


def digest(shown: Snapshot) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of the snapshot's canonical JSON."""
    return hashlib.sha256(canonical(shown)).hexdigest()[:DIGEST_LETTERS]


def canonical(shown: Snapshot) -> bytes:
    """The snapshot as JSON, its fields in the order in which they are declared; the same bytes for the same values."""
    return _ENCODER.encode(shown)


def template_version(template: str) -> int:
    """The newest version of a template. Raises ``UnknownTemplate``."""
    if template not in TEMPLATES:
        raise UnknownTemplate(f"template {template!r} is not known; there is {', '.join(sorted(TEMPLATES))}")
    return TEMPLATES[template][-1]


def schema_name(template: str, version: int | None = None) -> str:
    """The name of what is asked and answered, such as "market/1": both change together. Raises ``UnknownTemplate``."""
    newest = template_version(template)
    if version is not None and version not in TEMPLATES[template]:
        raise UnknownTemplate(f"template {template} has no version {version}; the newest is {newest}")
    return f"{template}/{version or newest}"


def _newest(state: BotState, view: MarketView) -> datetime | None:
    """The open time of the newest candle of the bot's market."""
    newest = (view[instrument.symbol].last for instrument in state.configuration.market.instruments)
    return max((candle.open_time for candle in newest if candle is not None), default=None)


def _shown(state: BotState, window: CandleWindow, now: datetime | None, sentiment: Sentiment | None) -> SymbolShown:
    instrument, last, timeframe = state.instrument(window.symbol), window.last, state.candle
    computed = window.memo(("advice", WINDOW, timeframe), lambda: _chart(window, timeframe))
    return SymbolShown(
        symbol=window.symbol,
        kind=instrument.kind,
        shorting="yes" if instrument.kind == "perpetual" else "no",
        age=0 if last is None or now is None else (now - last.open_time) // timeframe,
        chart=computed,
        news=news(sentiment, computed.spans),
    )


def _chart(window: CandleWindow, timeframe: timedelta) -> Chart:
    shown = chart(window)
    spans = tuple(span(shown, minutes, timeframe) for minutes in SPAN_MINUTES)
    readings = indicators(shown, window)
    return Chart(
        mark=text(shown.last.close),
        spans=spans,
        indicators=readings,
        higher=higher(window),
        series=series(shown),
        pain=pain(spans),
        setups=setups(shown, readings, spans),
        gaps=gaps(shown),
    )


def _fee(fees: FeeSchedule, kind: Literal["taker", "maker"]) -> str:
    return text((fees.taker if kind == "taker" else fees.maker) * BASIS_POINTS)
