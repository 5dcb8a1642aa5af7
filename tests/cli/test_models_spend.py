"""``oxbot models spend``: days within the range, by model and by bot, added up exactly."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import MODELS_STREAM, ModelName, StreamId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.models import ModelRouteClosed
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.projection import ProjectionRunner
from oxbot.cli.models_spend import say, spent_by_bots, spent_by_models
from tests.core.advised_lives import abstained
from tests.core.scenario import BOT, running
from tests.views.advising import TODAY, begun, ended, opinion, received, requested

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


async def projected(stream: StreamId, facts: Sequence[Fact]) -> MemoryViews:
    log = MemoryEventLog(Codec())
    events = [NewEvent(event_id=new_event_id(), occurred_at=TODAY, fact=fact) for fact in facts]
    await log.append(stream, events, expected=ANY_VERSION)
    views = MemoryViews(log)
    await ProjectionRunner(log, views).catch_up()
    return views


async def test_days_before_the_range_are_left_out_and_the_rest_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    old, now, small = begun(1, at=TODAY - DAY), begun(2), begun(3, model="small")
    closed = ModelRouteClosed(model=ModelName("small"), at=TODAY, cause="settings", detail="401\x1b[2J")
    facts: list[Fact] = [old, ended(old, cost="5"), now, ended(now, cost="0.000001"), small, closed]
    views = await projected(MODELS_STREAM, facts)

    found = await spent_by_models(views, TODAY.date())
    assert [(row.model, row.cost) for row in found.models] == [("deep", "0.000001"), ("small", "0")]
    assert (found.total, found.reserved) == ("0.000001", "0.01")
    both = await spent_by_models(views, (TODAY - DAY).date())
    assert [row.day for row in both.models] == [(TODAY - DAY).date(), TODAY.date(), TODAY.date()]
    assert both.total == "5.000001"

    say(found, by_bot=False, as_json=False)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split("\t") == [
        "2026-11-20", "deep", "1", "1", "", "0", "1000", "600", "50", "1300", "0.000001", "deep-3.2 x1", "2026-11",
    ]  # fmt: skip
    assert printed[3:] == [
        "0.000001 US dollars since 2026-11-20",
        "calls that have not ended may cost up to 0.01 more",
        "small is not asked until its settings are mended: settings, 401?[2J",
    ]


async def test_by_bot_is_what_each_was_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    views = await projected(bot_stream(BOT), [*running(), requested(), received(requested(), opinion())])
    found = await spent_by_bots(views, TODAY.date())
    say(found, by_bot=True, as_json=False)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split("\t") == ["2026-11-20", BOT, "deep", "1", "1", "1000", "600", "50", "0.002"]
    assert printed[2] == "0.002 US dollars since 2026-11-20"
    say(found, by_bot=True, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["from"], told["total"], len(told["bots"])) == ("2026-11-20", "0.002", 1)
    assert (await spent_by_bots(views, (TODAY + DAY).date())).bots == []


async def test_nothing_was_spent_where_nobody_asked() -> None:
    views = await projected(bot_stream(BOT), [*running(), requested(), abstained(requested())])
    assert (await spent_by_models(views, TODAY.date())).total == "0"
    [row] = (await spent_by_bots(views, requested().at.date())).bots
    assert (row.cost, row.answers, row.calls) == ("0", 1, 0)
