"""What the README tells to watch exists: every metric and label that it names is in a scrape of an installation."""

import re
from collections import defaultdict

import pytest
from prometheus_client.parser import text_string_to_metric_families

from events.account import AccountReconciled
from events.bot import BotHalted
from events.identifiers import MODELS_STREAM, AccountName, BotId, bot_stream
from oxbot.core.candles import Series
from tests.api.stage import BTC, START, VENUE, Stage, say
from tests.app.accounts import open_account
from tests.core.scenario import candle
from tests.core.scenario import running as running_bot
from tests.test_readme import README
from tests.views.advising import begun, ended

pytestmark = pytest.mark.anyio

WATCHING = README[README.index("\n## Watching it\n") : README.index("\n## Strategies\n")]
METRIC = re.compile(r"\b((?:oxbot|process)_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'(\w+)=~?"([^"]*)"')
GROUPED = re.compile(r"\bby \(([^)]*)\) \(*(?:rate\()?((?:oxbot|process)_[a-z_]+)")


async def scrape(stage: Stage) -> dict[str, dict[str, set[str]]]:
    """Every metric with its labels and their values, as an administrator scrapes them."""
    async with stage.client("admin") as client:
        await client.get("/api/v1/bots")
        response = await client.get("/metrics")
    assert response.status_code == 200
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            labels = found[sample.name]
            for name, value in sample.labels.items():
                labels[name].add(value)
    return found


async def populated(stage: Stage) -> None:
    """Something of everything that has figures."""
    await stage.candles.add([(Series(VENUE, BTC, "5m"), [candle(0, "100")])])
    agreed = AccountReconciled(at=START, epoch=1, position=1, orders=0)
    await open_account(stage.log, AccountName("main"), "okx", more=[agreed])
    await say(stage, bot_stream(BotId("bot-1")), *running_bot(), BotHalted(rule="venue", reason="wrong keys"))
    await say(stage, MODELS_STREAM, begun(), ended(begun()))
    await stage.project()


async def test_every_metric_and_label_that_the_readme_names_is_in_a_scrape(stage: Stage) -> None:
    await populated(stage)
    found = await scrape(stage)
    named = METRIC.findall(WATCHING)
    assert len(named) > 12
    for metric, selected in named:
        assert metric in found, metric
        for label, values in LABEL.findall(selected):
            assert label in found[metric], (metric, label)
            known = found[metric][label]
            assert label == "status" or known & set(values.split("|")), (metric, label, values, known)
    grouped = GROUPED.findall(WATCHING)
    assert len(grouped) > 5
    for labels, metric in grouped:
        # Prometheus itself says which process it asked.
        assert set(labels.split(", ")) <= found[metric].keys() | {"instance"}, (labels, metric)
