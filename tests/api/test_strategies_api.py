"""What bots can decide by, over REST."""

import msgspec
import pytest

from oxbot.core.strategies import built_in_strategies
from tests.api.stage import Json, Stage, items, json, problem

pytestmark = pytest.mark.anyio

STRATEGIES = "/api/v1/strategies"


async def test_every_strategy_is_listed_in_one_line(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        listed = items(await client.get(STRATEGIES))

    assert [line["name"] for line in listed] == sorted(strategy.name for strategy in built_in_strategies())
    assert {"name": "hodl", "version": 1, "summary": "Buys once and holds."} in listed


async def test_a_strategy_is_shown_with_its_parameters_and_their_schema(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        shown = json(await client.get(f"{STRATEGIES}/hodl"))

    assert shown["parameters"] == [
        {
            "name": "size_fraction",
            "type": "decimal",
            "default": "0.25",
            "bounds": "above 0 and below 1",
            "meaning": "share of equity to buy with",
        }
    ]
    schema = msgspec.convert(shown["schema"], Json)
    assert schema["title"] == "hodl"
    assert list(msgspec.convert(schema["properties"], Json)) == ["size_fraction"]


async def test_a_strategy_that_is_not_known_is_404_and_those_that_are_are_named(stage: Stage) -> None:
    async with stage.client("viewer") as client:
        assert "ema_cross" in problem(await client.get(f"{STRATEGIES}/magic"), 404, "not-found")
