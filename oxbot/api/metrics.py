"""The installation's figures as text for Prometheus; nothing is labelled by bot, user or what a stranger sent."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from oxbot.api.bodies import Nothing
from oxbot.api.meters import Meters
from oxbot.api.operations import Call, Operation, operation
from oxbot.app.projections import State
from oxbot.app.vitals import Vitals

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES: tuple[State, ...] = ("running", "catching_up", "rebuilding", "stopped", "not_running", "ahead")


async def show_metrics(call: Call[Nothing, Nothing]) -> Response:
    """Figures of the whole installation, and this process's own."""
    meters: Meters = call.request.app.state.meters
    vitals = await call.services.vitals.read()
    text = metrics_text(vitals) + generate_latest(meters.registry)
    return Response(text, headers={"content-type": MEDIA_TYPE})


def metrics_text(vitals: Vitals) -> bytes:
    """The figures in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Given(vitals))
    return generate_latest(registry)


class _Given(Collector):
    """Figures that were gathered already."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        """Each family of figures."""
        yield from _log(self._vitals)
        yield from _projections(self._vitals)
        yield from _bots(self._vitals)
        yield from _venues(self._vitals)
        yield from _models(self._vitals)
        yield from _alerts(self._vitals)

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there is need not be known before it is collected."""
        return iter(())


def _log(vitals: Vitals) -> Iterator[Metric]:
    yield _gauge("oxbot_log_position", "Position of the log's last event.", vitals.head)
    events = CounterMetricFamily(
        "oxbot_events", "Events by type that came into the log since this process began.", labels=("type",)
    )
    for kind, count in sorted(vitals.events.items()):
        events.add_metric((kind,), count)
    yield events
    yield _counter("oxbot_decisions", "Decisions of strategies.", vitals.events.get("decision.made", 0))
    verdicts = CounterMetricFamily("oxbot_verdicts", "What the risk gate said to orders.", labels=("verdict",))
    verdicts.add_metric(("allowed",), vitals.events.get("order.requested", 0))
    verdicts.add_metric(("denied",), vitals.events.get("order.denied", 0))
    yield verdicts
    orders = CounterMetricFamily("oxbot_orders", "What became of orders, by what the log says.", labels=("became",))
    for kind, count in sorted(vitals.events.items()):
        if kind.startswith("order."):
            orders.add_metric((kind.removeprefix("order."),), count)
    yield orders


def _projections(vitals: Vitals) -> Iterator[Metric]:
    events = GaugeMetricFamily("oxbot_projection_lag_events", "Events that it lacks.", labels=("projection",))
    seconds = GaugeMetricFamily(
        "oxbot_projection_lag_seconds", "Age of the first event that it lacks.", labels=("projection",)
    )
    states = GaugeMetricFamily("oxbot_projection_state", "1 for the state it is in.", labels=("projection", "state"))
    for status in vitals.projections:
        events.add_metric((status.name,), status.lag_events)
        seconds.add_metric((status.name,), status.serving.lag_seconds)
        for state in STATES:
            states.add_metric((status.name, state), int(status.state == state))
    yield from (events, seconds, states)


def _bots(vitals: Vitals) -> Iterator[Metric]:
    bots = GaugeMetricFamily("oxbot_bots", "Bots by status and trading state.", labels=("status", "trading"))
    for (status, trading), count in sorted(vitals.bots.items()):
        bots.add_metric((status, trading), count)
    yield bots
    yield _gauge("oxbot_bots_failing", "Bots that cannot live, or cannot enter, just now.", vitals.failing)


def _venues(vitals: Vitals) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "oxbot_feed_age_seconds", "Since the newest candle closed.", labels=("venue", "symbol", "timeframe")
    )
    incidents = GaugeMetricFamily("oxbot_venue_incidents_open", "Incidents that go on.", labels=("venue", "kind"))
    for venue in vitals.venues:
        for series in venue.series:
            if series.age_seconds is not None:
                age.add_metric((venue.venue, series.symbol, series.timeframe), series.age_seconds)
        kinds = Counter(incident.kind for incident in venue.open)
        for kind in ("stale", "gap", "revised"):
            incidents.add_metric((venue.venue, kind), kinds[kind])
    yield from (age, incidents)
    reconciled = GaugeMetricFamily(
        "oxbot_account_reconciled", "1 if venue and log agree on the account.", labels=("account",)
    )
    for account in vitals.accounts:
        reconciled.add_metric((account.account,), int(account.reconciled))
    yield reconciled


def _models(vitals: Vitals) -> Iterator[Metric]:
    calls = GaugeMetricFamily("oxbot_model_calls_today", "Calls of today (UTC).", labels=("model", "outcome"))
    spent = GaugeMetricFamily("oxbot_model_spent_usd_today", "What they cost, in US dollars.", labels=("model",))
    for day in vitals.model_days:
        spent.add_metric((day.model,), float(day.cost))
        for outcome, count in day.outcomes:
            calls.add_metric((day.model, outcome), count)
    yield from (calls, spent)
    yield _gauge(
        "oxbot_model_committed_usd_today",
        "Spent and reserved for calls that go on, in US dollars.",
        float(vitals.spent),
    )
    left = max(vitals.budget - vitals.spent, Decimal(0))
    yield _gauge("oxbot_model_budget_left_usd_today", "What a fleet may still spend today, in US dollars.", float(left))
    yield _gauge("oxbot_models_closed", "Models that are not asked, or not about everything.", vitals.models_closed)


def _alerts(vitals: Vitals) -> Iterator[Metric]:
    alerts = GaugeMetricFamily("oxbot_alerts_open", "Alerts that go on.", labels=("rule", "level"))
    for (rule, level), count in sorted(Counter((alert.rule, alert.level) for alert in vitals.alerts).items()):
        alerts.add_metric((rule, level), count)
    yield alerts
    doubts = [alert.since for alert in vitals.alerts if alert.rule == "order_in_doubt"]
    oldest = (vitals.at - min(doubts)).total_seconds() if doubts else 0.0
    yield _gauge("oxbot_orders_in_doubt", "Orders of which it is not known whether the venue has them.", len(doubts))
    yield _gauge("oxbot_orders_in_doubt_oldest_seconds", "For how long the oldest of them has been.", max(oldest, 0.0))


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value=value)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        show_metrics,
        name="show_metrics",
        method="GET",
        path="/metrics",
        least="admin",
        of="installation",
        summary="The installation in figures, as Prometheus reads them; also for API tokens of the scope metrics.",
        query=Nothing,
        body=Nothing,
        answer=str,
        media_type="text/plain",
        problems=(410, 503),
        scope="metrics",
    ),
)
