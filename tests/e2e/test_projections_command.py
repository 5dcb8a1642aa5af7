"""``oxbot projections`` and ``oxbot bots`` as an operator uses them."""

import json

import asyncpg
import msgspec
import pytest

from events.codec import Codec
from events.identifiers import BotId, bot_stream
from events.postgres import PostgresEventLog
from oxbot.adapters.postgres_failing_bots import PostgresFailingBots
from tests.app.fakes import fleet_log
from tests.app.stored_views import put
from tests.core.scenario import START
from tests.e2e.conftest import Oxbot

pytestmark = pytest.mark.anyio


def test_an_operator_sees_rebuilds_and_cannot_skip_what_is_not_broken(oxbot: Oxbot) -> None:
    assert oxbot("db", "migrate").returncode == 0
    created = oxbot("bots", "create", "one", "--symbols", "BTC/USDT", "--json")
    assert created.returncode == 0, created.stderr
    bot_id = json.loads(created.stdout)["bot_id"]
    listed = oxbot("bots", "list", "--json")
    assert listed.returncode == 0, listed.stderr

    rebuilt = oxbot("projections", "rebuild", "bots")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.startswith("projection bots is rebuilt up to position ")
    assert oxbot("projections", "rebuild", "bots", "--discard").stdout == "no rebuild of bots is under way\n"
    again = oxbot("bots", "list", "--json")
    assert [bot["bot_id"] for bot in json.loads(again.stdout)] == [bot_id]
    assert again.stdout == listed.stdout

    shown = oxbot("projections", "status", COLUMNS="20").stdout.splitlines()
    assert [line.split("\t")[0] for line in shown] == ["projection", "alerts", "bots", "models", "system", "users"]
    # No projector is at work here: after a while nobody was seen of late.
    assert all(line.split("\t")[2].startswith(("running", "not running (seen ")) for line in shown[1:])
    told = json.loads(oxbot("projections", "status", "--json").stdout)
    assert {item["name"]: item["serving"]["lag_events"] for item in told["items"]} == dict.fromkeys(
        ("alerts", "bots", "models", "system", "users"), 0
    )

    refused = oxbot("projections", "skip", "bots", "1", "--reason", "none")
    assert (refused.returncode, refused.stderr) == (
        2,
        "oxbot: projection bots is not stopped at any event, so position 1 cannot be skipped\n",
    )
    unknown = oxbot("projections", "rebuild", "weather")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "oxbot: there is no projection weather; there is bots, users, system, models, alerts\n",
    )
    replayed = oxbot("replay")
    assert replayed.returncode == 0, replayed.stderr
    assert "views: 18 rebuilt from " in replayed.stdout


POISON = (
    "order.cancelled",
    msgspec.msgpack.encode({"type": "order.cancelled", "order_id": "o-9", "at": START, "reason": "x" * 200}),
)


async def test_a_stop_is_shown_in_full_and_so_is_what_a_stopped_rebuild_needs(
    oxbot: Oxbot, database: str, pool: asyncpg.Pool
) -> None:
    log = PostgresEventLog(pool, Codec())
    await fleet_log(log, frames=5)
    position = await put(log, bot_stream(BotId("bot-1")), *POISON)
    here = {"OXBOT_DATABASE_URL": database, "COLUMNS": "20"}
    assert oxbot("bots", "list", **here).returncode == 0
    assert oxbot("projections", "rebuild", "bots", **here).returncode == 2
    await pool.execute("UPDATE views.projections SET updated_at = now() - interval '1 minute'")

    stopped = f"is stopped at position {position} (order.cancelled): "
    told = oxbot("projections", "status", **here).stdout.splitlines()[-2:]
    assert told[0].startswith(f"bots {stopped}")
    assert told[0].endswith(f"; mend it, or oxbot projections skip bots {position} --reason TEXT")
    assert told[1].startswith(f"the rebuild of bots {stopped}")
    refused = oxbot("projections", "skip", "bots", "1", "--reason", "wrong", **here)
    assert f"is stopped at {position}, so position 1 cannot be skipped" in refused.stderr
    skipped = oxbot("projections", "skip", "bots", str(position), "--reason", "broken", **here)
    assert skipped.stdout.splitlines()[1] == (
        "its rebuild is not running: oxbot projections rebuild bots goes on with it"
    )
    told = oxbot("projections", "status", **here).stdout.splitlines()[-2:]
    assert told[0].endswith("; it is to pass over that, and goes on as soon as a projector runs")
    assert told[1].endswith("; it may pass over that by now: oxbot projections rebuild bots goes on with it")
    assert oxbot("projections", "rebuild", "bots", **here).returncode == 0
    assert len(oxbot("projections", "status", **here).stdout.splitlines()) == 6


async def test_views_beyond_the_end_of_the_log_are_told_with_status_one(
    oxbot: Oxbot, database: str, pool: asyncpg.Pool
) -> None:
    await pool.execute("UPDATE views.projections SET position = 9 WHERE name = 'users'")
    told = oxbot("projections", "status", OXBOT_DATABASE_URL=database)

    assert told.returncode == 1
    assert "users\t1\tahead\t9\tbeyond the log" in told.stdout
    assert "users is built up to position 9, but the log ends at 0: " in told.stdout
    assert oxbot("projections", "status", "--json", OXBOT_DATABASE_URL=database).returncode == 1


async def test_bots_are_listed_whole_found_by_name_and_shown_to_fail(
    oxbot: Oxbot, database: str, pool: asyncpg.Pool
) -> None:
    here = {"OXBOT_DATABASE_URL": database, "COLUMNS": "80"}
    name = "a bot whose name is as long as a name may be in words"
    ids = [
        json.loads(oxbot("bots", "create", named, "--symbols", "BTC/USDT,ETH/USDT", "--json", **here).stdout)["bot_id"]
        for named in (name, "two", "two")
    ]
    assert oxbot("bots", "start", name, **here).stdout == f"bot {ids[0]} is running\n"
    await PostgresFailingBots(pool).failed({BotId(ids[1]): "positions 1 to 100 are archived"})

    listed = oxbot("bots", "list", **here).stdout.splitlines()
    rows = {fields[0]: fields[1:4] for fields in (line.split("\t") for line in listed[1:4])}
    assert sorted(rows) == sorted(ids)
    assert rows[ids[0]] == ["main", name, "running"]
    assert listed[4].startswith(f"{ids[1]} is failing since 2")
    assert listed[4].endswith("Z: positions 1 to 100 are archived")
    told = json.loads(oxbot("bots", "list", "--json", **here).stdout)
    assert {bot["bot_id"] for bot in told if bot["error"] is None} == {ids[0], ids[2]}
    assert json.loads(oxbot("bots", "show", name, "--json", **here).stdout)["bot"]["bot_id"] == ids[0]
    assert f"\nname\t{name}\n" in oxbot("bots", "show", name, **here).stdout
    refused = oxbot("bots", "pause", "two", **here)
    assert refused.returncode == 2
    assert all(bot_id in refused.stderr for bot_id in ids[1:])
