"""What the routes that only read are given beside the views; whoever starts the API builds it."""

from typing import NamedTuple

from events.log import LogReader
from oxbot.app.audit_proof import Prover
from oxbot.app.bodies import BodyStore
from oxbot.app.candle_store import CandleLibrary
from oxbot.app.clock import SystemClock
from oxbot.app.equity import EquityReader, MarketTime
from oxbot.app.evidence import EvidenceReader
from oxbot.app.failing import FailingBots
from oxbot.app.fleet_falls import FleetFalls
from oxbot.app.fleet_overview import FleetOverview
from oxbot.app.log_pages import LogPages
from oxbot.app.market_quality import MarketQuality
from oxbot.app.past import BotHistory
from oxbot.app.past_bots import PastBots
from oxbot.app.past_overview import PastOverview
from oxbot.app.reports import ReportReader
from oxbot.app.views import ViewReader


class ReadSources(NamedTuple):
    """What reads are made over."""

    log: LogReader
    views: ViewReader
    candles: CandleLibrary
    market_time: MarketTime
    bodies: BodyStore
    history: BotHistory
    failing: FailingBots
    prover: Prover


class Reads(NamedTuple):
    """Bots in the past and together, the market, the log, and the texts that models were sent and answered."""

    history: BotHistory
    candles: CandleLibrary
    market_time: MarketTime
    bodies: BodyStore
    reports: ReportReader
    quality: MarketQuality
    evidence: EvidenceReader
    overview: FleetOverview
    past_bots: PastBots
    past_overview: PastOverview
    log_pages: LogPages


def reads_over(sources: ReadSources) -> Reads:
    """All of them over the same stores."""
    equity = EquityReader(sources.views, sources.candles, sources.market_time)
    falls = FleetFalls(sources.views, sources.candles)
    return Reads(
        history=sources.history,
        candles=sources.candles,
        market_time=sources.market_time,
        bodies=sources.bodies,
        reports=ReportReader(equity),
        quality=MarketQuality(sources.log, sources.candles, sources.market_time, SystemClock()),
        evidence=EvidenceReader(sources.log, sources.history, sources.prover, sources.candles),
        overview=FleetOverview(sources.views, equity, sources.failing, falls),
        past_bots=PastBots(sources.history, sources.views),
        past_overview=PastOverview(equity, sources.candles),
        log_pages=LogPages(sources.log, sources.prover),
    )
