"""What a bot was created with can be read over HTTP, and given again; parameters may be numbers."""

import pytest

from events.bot import BotCreated
from events.identifiers import BotId, bot_stream
from oxbot.views.rows import BotRow
from tests.api.stage import BOT, BTC, START, VENUE, Json, Stage, items, json, problem

pytestmark = pytest.mark.anyio

BOTS = "/api/v1/bots"
NEW: Json = {"name": "first", "symbols": [BTC], "capital": "5000"}
SETUP = ("limits", "sizing", "paper", "fees", "instruments")
TERMS: Json = {
    "kind": "perpetual",
    "contract_size": "0.001",
    "leverage_max": "20",
    "maintenance_fraction": "0.005",
    "liquidation_fee": "0.005",
    "funding_interval_hours": 8,
}
MARGIN: Json = {
    "strategy": "trinity",
    "leverage": "3",
    "limits": {
        "leverage_max": "3",
        "drawdown_max": "0.150",
        "stop_guard": {"stops_max": 3, "lookback_candles": 288, "pause_candles": 24},
    },
    "sizing": {"method": "risk", "risk_fraction": "0.01"},
    "paper": {"half_spread": "0.0002", "funding_rate": "0.0000001"},
    "fees": {"maker": "0.0002", "taker": 0.0005},
    "instruments": {BTC: TERMS},
}


async def shown(stage: Stage, body: Json) -> Json:
    """The bot that is created with this body, as it is shown."""
    async with stage.client("trader") as client:
        response = await client.post(BOTS, json=body)
        assert response.status_code == 201, response.text
        await stage.project()
        return json(await client.get(response.headers["location"]))


async def parameters(stage: Stage, given: str) -> dict[str, str]:
    """The parameters that are recorded of a bot that is given these, in JSON."""
    async with stage.client("trader") as client:
        body = f'{{"name": "first", "symbols": ["{BTC}"], {given}}}'
        response = await client.post(BOTS, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 201, response.text
    created, *_ = await stage.log.read_stream(bot_stream(BotId(str(json(response)["bot_id"]))))
    assert isinstance(created.fact, BotCreated)
    return {parameter.name: parameter.value for parameter in created.fact.strategy.parameters}


async def test_a_bot_shows_the_limits_that_hold_and_every_default_with_its_value(stage: Stage) -> None:
    bot = await shown(stage, NEW)

    assert bot["limits"] == {
        "position_fraction_max": "0.25",
        "positions_max": 5,
        "exposure_fraction_max": "0.95",
        "net_exposure_fraction_max": None,
        "correlated_exposure_fraction_max": None,
        "correlation_min": "0.7",
        "leverage_max": "1",
        "notional_min": None,
        "stop_distance_min": None,
        "stop_distance_max": None,
        "reward_risk_min": None,
        "reward_fees_min": None,
        "liquidation_distance_min": None,
        "confidence_min": None,
        "drawdown_max": None,
        "daily_loss_max": None,
        "trades_per_day_max": None,
        "entries_per_cycle_max": None,
        "cooldown_candles": None,
        "stop_guard": None,
        "profit_guard": None,
        "fleet_exposure_max": None,
        "fleet_net_exposure_max": None,
    }
    assert bot["sizing"] == {
        "method": "fraction",
        "risk_fraction": "0.01",
        "kelly_min": "0.0025",
        "kelly_max": "0.02",
        "kelly_trades_min": 30,
    }
    assert bot["paper"] == {
        "half_spread": "0",
        "slippage_factor": "0",
        "slippage_max": "0",
        "slippage_jitter": "0",
        "participation_max": None,
        "latency_candles": 0,
        "latency_milliseconds": 0,
        "funding_rate": "0",
        "seed": 0,
    }
    assert bot["fees"] == {"maker": "0.001", "taker": "0.001", "buys_pay_in": "quote"}
    assert bot["leverage"] == "1"
    assert bot["instruments"] == {
        BTC: {
            "tick": "0.01",
            "lot": "0.001",
            "minimum_notional": "0",
            "kind": "spot",
            "contract_size": "1",
            "leverage_max": "1",
            "maintenance_fraction": "0",
            "liquidation_fee": "0",
            "funding_interval_hours": 8,
        }
    }


async def test_a_bot_shows_what_it_was_given_exactly(stage: Stage) -> None:
    bot = await shown(stage, NEW | MARGIN)

    limits = bot["limits"]
    assert isinstance(limits, dict)
    assert (limits["leverage_max"], limits["drawdown_max"]) == ("3", "0.15")
    assert limits["stop_guard"] == {
        "stops_max": 3,
        "lookback_candles": 288,
        "pause_candles": 24,
        "per_symbol": False,
    }
    sizing, paper = bot["sizing"], bot["paper"]
    assert isinstance(sizing, dict)
    assert isinstance(paper, dict)
    assert (sizing["method"], paper["half_spread"], paper["funding_rate"]) == ("risk", "0.0002", "0.0000001")
    assert bot["leverage"] == "3"
    assert bot["fees"] == {"maker": "0.0002", "taker": "0.0005", "buys_pay_in": "quote"}
    assert bot["instruments"] == {BTC: {"tick": "0.01", "lot": "0.001", "minimum_notional": "0", **TERMS}}


async def test_what_a_bot_shows_can_be_given_to_another(stage: Stage) -> None:
    first = await shown(stage, NEW | MARGIN)
    again = {name: first[name] for name in ("symbols", "strategy", "leverage", "limits", "sizing", "paper", "fees")}
    second = await shown(stage, NEW | again | {"instruments": {BTC: TERMS}})

    same = (*SETUP, *again, "parameters")
    assert {name: second[name] for name in same} == {name: first[name] for name in same}


async def test_a_list_of_bots_is_without_what_they_were_created_with(stage: Stage) -> None:
    bot = await shown(stage, NEW)
    async with stage.client("trader") as client:
        [line] = items(await client.get(BOTS))

    assert line == {name: value for name, value in bot.items() if name not in (*SETUP, "version")}
    assert set(SETUP) <= set(bot)


async def test_a_row_of_an_older_program_is_shown_without_them(stage: Stage) -> None:
    old = BotRow(
        bot_id=BOT,
        fleet="test",
        name="old",
        status="running",
        strategy="ema_cross",
        strategy_version=1,
        parameters=(),
        venue=VENUE,
        timeframe="5m",
        symbols=(BTC,),
        begins_at=START,
        quote="USDT",
        created_at=START,
    )
    await stage.store(old)
    async with stage.client("viewer") as client:
        bot = json(await client.get(f"{BOTS}/{BOT}"))

    assert [bot[name] for name in SETUP] == [None, None, None, None, {}]


async def test_parameters_are_text_numbers_or_booleans_and_mean_the_same(stage: Stage) -> None:
    as_text = await parameters(stage, '"parameters": {"fast": "21", "size_fraction": "0.1"}')
    assert await parameters(stage, '"parameters": {"fast": 21, "size_fraction": 0.1}') == as_text
    assert await parameters(stage, '"parameters": {"fast": 2.1e1, "size_fraction": 10E-2}') == as_text
    assert (as_text["fast"], as_text["size_fraction"]) == ("21", "0.1")

    terms = '{"kind": "perpetual", "maintenance_fraction": 0.01}'
    shorting = f'"instruments": {{"{BTC}": {terms}}}, "strategy": "trinity", "parameters": {{"allow_short": %s}}'
    for given, recorded in (("true", "true"), ('"true"', "true"), ("false", "false")):
        assert (await parameters(stage, shorting % given))["allow_short"] == recorded


async def test_no_digit_of_a_number_is_lost(stage: Stage) -> None:
    """A float would say 0.1."""
    found = await parameters(stage, '"parameters": {"size_fraction": 0.100000000000000001}')

    assert found["size_fraction"] == "0.100000000000000001"


@pytest.mark.parametrize(
    ("given", "kind", "named"),
    [
        ('{"fast": [21]}', "unprocessable-content", "parameter `fast` must be text, a number, or true or false"),
        ('{"fast": {"candles": 21}}', "unprocessable-content", "not an object"),
        ('{"fast": null}', "unprocessable-content", "not null"),
        ('{"fast": 1e400}', "unprocessable-content", "parameter `fast` must be a number of at most 40 digits"),
        ('{"fast": 1e99999999999999999999}', "unprocessable-content", "Number out of range"),
        ('{"fast": %s}' % ("9" * 41), "unprocessable-content", "at most 40 digits"),
        ('{"fast": true}', "invalid-parameter", "(read as text: fast=true)"),
        ('{"fast": 2.5}', "invalid-parameter", "at least 2 and at most 5000, not 2.5 (read as text: fast=2.5)"),
        ('{"fast": 900, "slow": "50"}', "invalid-parameter", "(read as text: fast=900)"),
        ('{"size_fraction": 0.0123456789012345678}', "invalid-parameter", "at most 18 decimals"),
        ("[]", "unprocessable-content", "`$.parameters`"),
    ],
)
async def test_a_parameter_of_another_type_is_refused_by_name_and_nothing_is_recorded(
    stage: Stage, given: str, kind: str, named: str
) -> None:
    async with stage.client("trader") as client:
        body = f'{{"name": "first", "symbols": ["{BTC}"], "parameters": {given}}}'
        response = await client.post(BOTS, content=body, headers={"content-type": "application/json"})

    assert named in problem(response, 422, kind)
    assert await stage.log.head() == 0
