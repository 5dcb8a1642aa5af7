"""How the process that asks models is made up: which models, whose keys, and who is not given them."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from events.identifiers import Symbol, VenueName
from oxbot.adapters.model_table import InvalidModelTable
from oxbot.app.feed import FeedRequest
from oxbot.app.models.known import SCRIPTED
from oxbot.config import Secret, Settings
from oxbot.wiring.connections import MODELS
from oxbot.wiring.market import LiveSyntheticMarket, PlayedMarket, Speed, open_market
from oxbot.wiring.models import SCRIPTED_PER_MINUTE, ModelsPlan, models_plan, open_models, paced, take_keys
from oxbot.wiring.stores import Database
from tests.app.fakes import at_work

KEY = "sk-this-is-secret"
TABLE = """
[models.deepseek]
provider_model = "deepseek/deepseek-chat"
key_env = "DEEPSEEK_KEY"
prices = { input = 0.28, cached = 0.03, output = 0.42, version = "2026-11" }

[models.rehearsal]
provider_model = "scripted/rule"
calls_per_minute = 7
prices = { input = 0, cached = 0, output = 0, version = "free" }
"""
UNWANTED = {
    "litellm",
    "openai",
    "oxbot.app.models.gateway",
    "oxbot.adapters.litellm_transport",
    "oxbot.wiring.models",
}
BEGINS_AT = datetime(2024, 1, 1, tzinfo=UTC)
SPEED = Speed(factor=60.0, started_at=BEGINS_AT, market_at=BEGINS_AT)


def plan(tmp_path: Path, environment: dict[str, str]) -> ModelsPlan:
    """The plan of an installation with that table."""
    path = tmp_path / "models.toml"
    path.write_text(TABLE)
    return models_plan(Settings(home=tmp_path, models=path), environment)


def played(speed: Speed | None) -> PlayedMarket:
    """A market out of the store."""
    return PlayedMarket(
        venue=VenueName("test"),
        timeframe="5m",
        symbols=(Symbol("BTC/USDT"),),
        begins_at=BEGINS_AT,
        ends_before=BEGINS_AT,
        followers=1,
        speed=speed,
    )


def test_without_a_table_there_is_the_scripted_model_alone_and_nothing_limits_it(tmp_path: Path) -> None:
    made = models_plan(Settings(home=tmp_path), {"DEEPSEEK_KEY": KEY})
    assert list(made.table.models) == [SCRIPTED]
    assert made.table.models[SCRIPTED].calls_per_minute == SCRIPTED_PER_MINUTE
    assert (made.keys, made.pinned) == ({}, False)


def test_the_keys_that_the_table_names_go_with_the_plan_and_leave_the_environment_and_no_others_do(
    tmp_path: Path,
) -> None:
    environment = {"DEEPSEEK_KEY": KEY, "OTHER_KEY": "kept", "PATH": "/bin"}
    made = plan(tmp_path, environment)
    take_keys(made, environment)
    assert environment == {"OTHER_KEY": "kept", "PATH": "/bin"}
    assert made.keys == {"DEEPSEEK_KEY": Secret(KEY)}
    assert KEY not in repr(made)
    assert KEY not in str(made)


def test_a_key_that_is_not_there_yet_is_no_reason_not_to_start(tmp_path: Path) -> None:
    made = plan(tmp_path, {})
    take_keys(made, {})
    assert made.keys == {}
    assert made.table.models.keys() == {SCRIPTED, "deepseek", "rehearsal"}


def test_the_limit_of_a_model_in_the_table_is_left_as_it_is(tmp_path: Path) -> None:
    models = {str(name): model.calls_per_minute for name, model in plan(tmp_path, {}).table.models.items()}
    assert models == {"scripted": SCRIPTED_PER_MINUTE, "deepseek": 50, "rehearsal": 7}


def test_a_table_that_means_nothing_is_refused_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text("[models.x]\nleverage = 125\n")
    with pytest.raises(InvalidModelTable):
        models_plan(Settings(home=tmp_path, models=path), {})


def test_what_is_played_as_fast_as_it_goes_waits_and_everything_else_has_its_speed() -> None:
    synthetic = LiveSyntheticMarket(seed=1, timeframe="5m", symbols=(), begins_at=BEGINS_AT, speed=SPEED)
    assert paced(ModelsPlan(), played(None)).speed is None
    assert paced(ModelsPlan(), played(SPEED)).speed == 60.0
    assert paced(ModelsPlan(), synthetic).speed == 60.0


def test_a_process_that_hosts_bots_loads_neither_litellm_nor_what_asks_models() -> None:
    script = (
        "import sys, actors.bot_host, oxbot.wiring.host; "
        f"found = {UNWANTED} & set(sys.modules); sys.exit(str(found) if found else 0)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True).stderr == ""


@pytest.mark.anyio
async def test_the_process_opens_with_its_own_role_and_at_most_its_connections(
    database: str, pool: asyncpg.Pool
) -> None:
    seen = "SELECT usename, current_setting('role') FROM pg_stat_activity WHERE application_name = 'oxbot models'"
    async with open_models("models", ModelsPlan(), Database(dsn=Secret(database))):
        backends = await pool.fetch(seen)
        assert 1 <= len(backends) <= MODELS


def test_the_process_opens_no_provider_before_a_model_is_asked(database: str) -> None:
    """In a process of its own: in this one another test may have loaded litellm."""
    script = (
        "import asyncio, sys\n"
        "from oxbot.config import Secret\n"
        "from oxbot.wiring.models import ModelsPlan, open_models\n"
        "from oxbot.wiring.stores import Database\n"
        "async def opened():\n"
        "    async with open_models('models', ModelsPlan(), Database(dsn=Secret(sys.argv[1]))):\n"
        "        sys.exit('litellm is loaded' if 'litellm' in sys.modules else 0)\n"
        "asyncio.run(opened())\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, database], check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.anyio
@pytest.mark.parametrize(("speed", "waits"), [(None, True), (SPEED, False)], ids=["as fast as it goes", "60 times"])
async def test_bots_wait_for_advice_where_their_market_waits_for_them_and_nowhere_else(
    database: str, speed: Speed | None, *, waits: bool
) -> None:
    asked = FeedRequest(follower="host", cursor=BEGINS_AT, symbols=())
    async with open_market(played(speed), Database(dsn=Secret(database))) as market, at_work(market.run()):
        reply = await market.after(asked)
        while not reply.ended:
            reply = await market.after(asked)
    assert (reply.patience_seconds > 0) == waits
