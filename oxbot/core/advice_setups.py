"""What a prompt says of one symbol beyond its indicators: setups, stops that may be hunted, gaps, and what news did."""

from decimal import Decimal
from typing import Literal

import msgspec
import numpy as np

from events.advice import Sentiment
from oxbot.core.advice_figures import price, reading
from oxbot.core.advice_market import Chart, Readings, Span
from oxbot.core.indicators import fair_value_gaps
from oxbot.core.money import text

GAPS_MAX = 3
GAP_CANDLES_MAX = 50

RSI_HIGH, RSI_LOW = 70.0, 30.0
RSI_EXTREME_HIGH, RSI_EXTREME_LOW = 80.0, 20.0
PLACE_HIGH_BPS, PLACE_LOW_BPS = 8_500, 1_500
LARGE_MOVE_BPS = 1_000
VOLUME_SPIKE = 3.0
STOPS_BEYOND = Decimal("0.1")
"""Stops are looked for so far beyond the last four hours' extremes, as a part of their range."""

SCORE_QUIET = Decimal("0.5")
MOVE_BPS = 50
NEWS_FRESH_MINUTES, NEWS_YOUNG_MINUTES, NEWS_OLD_MINUTES = 60, 120, 360

Lean = Literal["long", "short", "none"]
Answered = Literal["confirmed", "diverging", "unanswered", "priced_in", "quiet"]


class Setups(msgspec.Struct, frozen=True, kw_only=True):
    """Which way three ways to look at a chart lean, and what together; ``risks`` are what speaks against any entry.

    ``trend`` counts 4 in the vote, ``flow`` 3, ``reversion`` 2.
    """

    trend: Lean
    reversion: Lean
    flow: Lean
    vote: Lean
    risks: tuple[Literal["large_move", "extreme_rsi", "volume_spike"], ...]


class Pain(msgspec.Struct, frozen=True, kw_only=True):
    """Where stops of others lie. Funding and open interest are of a perpetual's venue; nobody here knows them yet."""

    stops_above: str | None
    stops_below: str | None
    funding: str | None = None
    open_interest: str | None = None


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A fair value gap that holds; ages in candles, ``touched`` None while no candle has come back to it."""

    side: Literal["bullish", "bearish"]
    low: str
    high: str
    age: int
    impulse: str
    touched: int | None


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What recorded news say of a symbol, in numbers, and what prices made of it; no word of any text."""

    score: str
    items: int
    age_minutes: int
    prices: Answered | None


def setups(shown: Chart, readings: Readings, spans: tuple[Span, ...]) -> Setups:
    """The leanings at the newest close."""
    trend, reversion, flow = _trend(shown), _reversion(shown, spans), _flow(readings)
    weights = ((trend, 4), (flow, 3), (reversion, 2))
    vote = sum(weight * {"long": 1, "short": -1, "none": 0}[lean] for lean, weight in weights)
    return Setups(
        trend=trend,
        reversion=reversion,
        flow=flow,
        vote="long" if vote > 0 else "short" if vote < 0 else "none",
        risks=_risks(shown, spans),
    )


def pain(spans: tuple[Span, ...]) -> Pain:
    """The levels a tenth of the last four hours' range beyond its ends."""
    hours = next((known for known in spans if known.minutes == 240), None)  # noqa: PLR2004 - four hours
    if hours is None or hours.high is None or hours.low is None:
        return Pain(stops_above=None, stops_below=None)
    high, low = Decimal(hours.high), Decimal(hours.low)
    beyond = (high - low) * STOPS_BEYOND
    return Pain(stops_above=price(high + beyond), stops_below=price(max(low - beyond, Decimal(0))))


def gaps(shown: Chart) -> tuple[Gap, ...]:
    """The newest gaps that no close has broken, newest first; only whole candles make one, and only young ones count.

    What became of a gap is told by every candle since, not by where the price is now.
    """
    found = fair_value_gaps(shown.opens, shown.highs, shown.lows, shown.closes, age_max=GAP_CANDLES_MAX)
    holding = [zone for zone in reversed(found) if zone.broken is None][:GAPS_MAX]
    return tuple(
        Gap(
            side=zone.side,
            low=price(zone.low) or "-",
            high=price(zone.high) or "-",
            age=zone.age,
            impulse=reading(zone.impulse) or "-",
            touched=zone.touched,
        )
        for zone in holding
    )


def news(sentiment: Sentiment | None, spans: tuple[Span, ...]) -> News | None:
    """What recorded news say; None where nothing is known, which is not the same as news that say nothing."""
    if sentiment is None:
        return None
    return News(
        score=text(sentiment.score),
        items=sentiment.items,
        age_minutes=sentiment.age_minutes,
        prices=_answered(sentiment, spans),
    )


def _trend(shown: Chart) -> Lean:
    close, fast, slow = (float(values[-1]) for values in (shown.closes, shown.ema_20, shown.ema_50))
    return "long" if close > fast > slow else "short" if close < fast < slow else "none"


def _reversion(shown: Chart, spans: tuple[Span, ...]) -> Lean:
    strength, place = float(shown.rsi[-1]), _day_place(spans)
    if strength > RSI_HIGH or (place is not None and place > PLACE_HIGH_BPS):
        return "short"
    return "long" if strength < RSI_LOW or (place is not None and place < PLACE_LOW_BPS) else "none"


def _flow(readings: Readings) -> Lean:
    if readings.flow == "buyers" and readings.obv == "above_its_mean":
        return "long"
    return "short" if readings.flow == "sellers" and readings.obv == "below_its_mean" else "none"


def _risks(shown: Chart, spans: tuple[Span, ...]) -> tuple[Literal["large_move", "extreme_rsi", "volume_spike"], ...]:
    strength, moved, ratio = float(shown.rsi[-1]), spans[-1].change_bps, shown.volume_ratio
    found: list[Literal["large_move", "extreme_rsi", "volume_spike"]] = []
    if moved is not None and abs(moved) > LARGE_MOVE_BPS:
        found.append("large_move")
    if strength > RSI_EXTREME_HIGH or strength < RSI_EXTREME_LOW:
        found.append("extreme_rsi")
    if np.isfinite(ratio) and ratio > VOLUME_SPIKE:
        found.append("volume_spike")
    return tuple(found)


def _day_place(spans: tuple[Span, ...]) -> int | None:
    return spans[-1].place_bps


def _answered(sentiment: Sentiment, spans: tuple[Span, ...]) -> Answered | None:
    """What prices made of news that are so old: nothing yet, the same, the opposite; old news are in the price."""
    if abs(sentiment.score) < SCORE_QUIET:
        return "quiet"
    if sentiment.age_minutes > NEWS_OLD_MINUTES:
        return "priced_in"
    since = spans[0] if sentiment.age_minutes <= NEWS_FRESH_MINUTES else spans[1]
    if since.change_bps is None:
        return None
    moved = since.change_bps if sentiment.score > 0 else -since.change_bps
    if moved <= -MOVE_BPS:
        return "diverging"
    if moved < MOVE_BPS:
        return "unanswered"
    return "confirmed" if sentiment.age_minutes <= NEWS_YOUNG_MINUTES else "priced_in"
