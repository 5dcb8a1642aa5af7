"""The decider of a venue's stream: which incidents of its market are news, and what they leave behind."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, assert_never

import msgspec

from events.identifiers import Symbol
from events.venue import MarketCandleRevised, MarketGapFound, MarketRecovered, MarketStale, VenueFact


class Followed(NamedTuple):
    """One symbol's candles of one timeframe."""

    symbol: Symbol
    timeframe: str


class Gap(NamedTuple):
    """Open times of the first and the last candle that were left out for good."""

    first: datetime
    last: datetime


class VenueMarketState(msgspec.Struct, frozen=True):
    """Incidents that go on, by what they are of: since which candle's close; and what was left out, oldest first."""

    stale: Mapping[Followed, datetime] = MappingProxyType({})
    gaps: Mapping[Followed, tuple[Gap, ...]] = MappingProxyType({})
    revised: frozenset[tuple[Followed, datetime]] = frozenset()


class VenueMarketDecider:
    """Says each incident once: a command is the fact that it leads to, if that is news."""

    initial = VenueMarketState()

    def evolve(self, state: VenueMarketState, fact: VenueFact) -> VenueMarketState:
        """The state after the fact."""
        followed = Followed(fact.symbol, fact.timeframe)
        match fact:
            case MarketStale():
                return msgspec.structs.replace(state, stale={**state.stale, followed: fact.expected})
            case MarketRecovered():
                rest = {key: since for key, since in state.stale.items() if key != followed}
                return msgspec.structs.replace(state, stale=rest)
            case MarketGapFound():
                known = (*state.gaps.get(followed, ()), Gap(fact.first, fact.last))
                return msgspec.structs.replace(state, gaps={**state.gaps, followed: known})
            case MarketCandleRevised():
                return msgspec.structs.replace(state, revised=state.revised | {(followed, fact.open_time)})
            case _:
                assert_never(fact)

    def decide(self, command: VenueFact, state: VenueMarketState) -> Sequence[VenueFact]:
        """The fact itself, or nothing where it says what is known."""
        followed = Followed(command.symbol, command.timeframe)
        match command:
            case MarketStale():
                known = followed in state.stale
            case MarketRecovered():
                known = followed not in state.stale
            case MarketGapFound():
                known = Gap(command.first, command.last) in state.gaps.get(followed, ())
            case MarketCandleRevised():
                known = (followed, command.open_time) in state.revised
            case _:
                assert_never(command)
        return [] if known else [command]
