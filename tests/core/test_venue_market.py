"""A venue's stream: every incident is said once, from its beginning to its end."""

from collections.abc import Sequence

from events.identifiers import Symbol
from events.venue import MarketCandleRevised, MarketGapFound, MarketRecovered, MarketStale, VenueFact
from oxbot.core.venue_market import Followed, Gap, VenueMarketDecider, VenueMarketState
from tests.core.scenario import BTC, ETH, moment

DECIDER = VenueMarketDecider()


def stale(symbol: Symbol = BTC, timeframe: str = "5m", number: int = 3) -> MarketStale:
    return MarketStale(at=moment(9), symbol=symbol, timeframe=timeframe, expected=moment(number))


def gap(last: int = 4) -> MarketGapFound:
    return MarketGapFound(at=moment(9), symbol=BTC, timeframe="5m", first=moment(2), last=moment(last))


def revised(number: int = 1) -> MarketCandleRevised:
    return MarketCandleRevised(at=moment(9), symbol=BTC, timeframe="5m", open_time=moment(number), words="other")


RECOVERED = MarketRecovered(at=moment(9), symbol=BTC, timeframe="5m", backfilled=3)


def said(*commands: VenueFact) -> Sequence[VenueFact]:
    """What is recorded when these are reported one after another."""
    state = DECIDER.initial
    facts: list[VenueFact] = []
    for command in commands:
        decided = DECIDER.decide(command, state)
        for fact in decided:
            state = DECIDER.evolve(state, fact)
        facts += decided
    return facts


def folded(*facts: VenueFact) -> VenueMarketState:
    state = DECIDER.initial
    for fact in facts:
        state = DECIDER.evolve(state, fact)
    return state


def test_an_incident_is_said_once_and_its_end_once() -> None:
    again = stale(number=5)
    assert said(stale(), again, RECOVERED, RECOVERED, again) == [stale(), RECOVERED, again]


def test_an_end_without_a_beginning_is_no_news() -> None:
    assert said(RECOVERED) == []


def test_symbols_and_timeframes_have_incidents_of_their_own() -> None:
    others = [stale(ETH), stale(timeframe="1h")]
    assert said(stale(), *others, RECOVERED, *others) == [stale(), *others, RECOVERED]


def test_a_gap_and_a_revision_are_said_once() -> None:
    assert said(gap(), gap(), gap(5), revised(), revised(), revised(2)) == [gap(), gap(5), revised(), revised(2)]


def test_the_state_says_since_when_and_what_was_left_out() -> None:
    followed = Followed(BTC, "5m")
    state = folded(stale(), gap(), stale(ETH))
    assert state.stale == {followed: moment(3), Followed(ETH, "5m"): moment(3)}
    assert state.gaps == {followed: (Gap(moment(2), moment(4)),)}
    assert folded(stale(), RECOVERED).stale == {}
