"""The facts of a venue's market as it reaches us: outages, gaps, and their end."""

from events.identifiers import Symbol
from events.values import Timestamp, Value


class MarketStale(Value, frozen=True, kw_only=True, tag="market.stale"):
    """A symbol's candle that should have closed by ``expected`` has not come; until it has, entries are refused."""

    at: Timestamp
    symbol: Symbol
    timeframe: str
    expected: Timestamp
    reason: str = ""


class MarketGapFound(Value, frozen=True, kw_only=True, tag="market.gap_found"):
    """The venue gave no candles from ``first`` to ``last`` (open times, both included); they stay out for good."""

    at: Timestamp
    symbol: Symbol
    timeframe: str
    first: Timestamp
    last: Timestamp


class MarketRecovered(Value, frozen=True, kw_only=True, tag="market.recovered"):
    """The symbol's candles are complete again; so many came late."""

    at: Timestamp
    symbol: Symbol
    timeframe: str
    backfilled: int


class MarketCandleRevised(Value, frozen=True, kw_only=True, tag="market.candle_revised"):
    """The venue says otherwise of a candle that was seen as closed; what was decided on stays as it was seen."""

    at: Timestamp
    symbol: Symbol
    timeframe: str
    open_time: Timestamp
    words: str


VenueFact = MarketStale | MarketGapFound | MarketRecovered | MarketCandleRevised
