"""The tables of the projections: what an older schema leaves is kept, and only projectors may write them."""

import asyncpg
import msgspec
import pytest

from events.codec import Codec
from events.errors import OxbotError
from events.identifiers import HOUSE, BotId, OwnerId
from events.postgres import PostgresEventLog
from oxbot.adapters.database import Role, open_pool
from oxbot.adapters.migrations import CREATE, all_migrations
from oxbot.adapters.postgres_views import ACROSS_OWNERS, PostgresViews
from oxbot.app.clock import SystemClock
from oxbot.app.projection import ProjectionRunner
from oxbot.app.rebuild import Rebuild
from oxbot.app.replay import rebuild_views
from oxbot.app.views import Target, owner_of
from oxbot.views.bot_views import BOTS
from oxbot.views.fold import RowChange, row_change
from oxbot.views.projections import PROJECTIONS
from oxbot.views.rows import BOT_VIEWS, OwnedRow
from tests.app.fakes import fleet_log, write
from tests.app.stored_views import plant
from tests.core.scenario import BOT, created, deposited, running

pytestmark = pytest.mark.anyio

TABLES = """
    select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('views', 'views_next') and c.relkind in ('r', 'i') order by 1, 2
"""
UNDER_WAY = "insert into views.projections select name, true, build, 5, 9 from views.projections where name = 'bots'"


async def test_what_the_views_held_before_they_had_projections_is_still_served(empty_database: str) -> None:
    pool = await open_pool(empty_database, size=2, application_name="tests")
    try:
        await pool.execute(CREATE)
        for migration in all_migrations():
            if migration.name == "0202_projections.sql":
                await pool.execute("insert into views.trades values ('bot-1', '1', '{\"n\":1}')")
                await pool.execute("insert into views.books values ('bot-1', 'remembered')")
                await pool.execute('update views.checkpoint set "position" = 7')
            await pool.execute(migration.sql)
        views = PostgresViews(pool)

        assert await views.row("trades", "bot-1", "1") == b'{"n":1}'
        assert await views.books(Target("bots"), ["bot-1"]) == {"bot-1": b"remembered"}
        checkpoint = await views.checkpoint(Target("bots"))
    finally:
        await pool.close()

    assert checkpoint is not None
    assert (checkpoint.version, checkpoint.position) == (1, 7)


async def test_a_rebuild_that_was_under_way_before_there_was_advice_is_begun_again(empty_database: str) -> None:
    """Its tables are not all that the newer program wants; what served goes on serving."""
    log_before = [view for view in BOT_VIEWS if view not in ("advice", "spending", "arena", "owned")]
    pool = await open_pool(empty_database, size=3, application_name="tests")
    try:
        await pool.execute(CREATE)
        for migration in all_migrations():
            if migration.name == "0510_advice_views.sql":
                await pool.execute("insert into views.trades values ('bot-1', '1', '{\"n\":1}')")
                await pool.execute(
                    "insert into views.projections select name, true, build, 5, 9 from views.projections"
                )
                await pool.execute("select views.open_build('bots', $1::text[])", log_before)
            await pool.execute(migration.sql)
        log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
        await write(log, running())

        assert await views.row("trades", "bot-1", "1") == b'{"n":1}'
        assert await views.checkpoint(Target("bots", rebuild=True)) is None
        await Rebuild(BOTS, log=log, store=views, clock=SystemClock()).run(waits_for_skips=False)
        assert await views.row("arena", BOT) is not None
    finally:
        await pool.close()


async def test_bots_that_were_there_before_there_were_owners_are_listed_as_the_houses(empty_database: str) -> None:
    """Until the projection is made anew, which a newer version of it wants."""
    pool = await open_pool(empty_database, size=3, application_name="tests")
    try:
        await pool.execute(CREATE)
        for migration in all_migrations():
            if migration.name == "0620_bot_owners.sql":
                await pool.execute("insert into views.bots values ('bot-1', '', '{\"n\":1}')")
            await pool.execute(migration.sql)
        log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)

        [listed] = await views.across("bots", of_owners=[HOUSE, OwnerId("anna")], limit=9)
        assert (listed.bot_id, owner_of(listed.body)) == (BOT, HOUSE)
        await write(log, [msgspec.structs.replace(created(), owner=OwnerId("anna"))])
        await Rebuild(BOTS, log=log, store=views, clock=SystemClock()).run(waits_for_skips=False)
        assert await views.across("bots", of_owners=[HOUSE], limit=9) == []
        [listed] = await views.across("bots", of_owners=[OwnerId("anna")], limit=9)
        assert owner_of(listed.body) == "anna"
    finally:
        await pool.close()


async def test_a_page_of_somebodys_bots_looks_at_nobody_elses(pool: asyncpg.Pool) -> None:
    """Of 2,000 bots of 100 owners, walked in pages: each statement reads as many entries as it shows, by the key."""
    views, owners = PostgresViews(pool), [OwnerId(f"user-{number:02}") for number in range(99)] + [HOUSE]
    whose = {BotId(f"bot-{number:04}"): owners[number * 37 % 100] for number in range(2000)}
    rows = [row_change(OwnedRow(owner_id=owner, bot_id=bot_id)) for bot_id, owner in whose.items()]
    bodies = [RowChange("bots", bot_id, "", b'{"bot":"%s"}' % (bot_id.encode() * 100)) for bot_id in whose]
    await plant(views, *rows, *bodies)
    await pool.execute("analyze views.owned; analyze views.bots")
    wanted, found = [OwnerId("user-07"), HOUSE], list[BotId]()
    while page := await views.across("bots", of_owners=wanted, after_bot=found[-1] if found else "", limit=7):
        assert len(page) <= 7
        found += [row.bot_id for row in page]
    assert found == [bot_id for bot_id, owner in whose.items() if owner in wanted]
    plan = await pool.fetch("explain (analyze, costs off) " + ACROSS_OWNERS["bots"], wanted, "", 7)
    text = "\n".join(line[0] for line in plan)
    assert "Seq Scan" not in text
    assert "owned_pkey" in text


async def test_after_swaps_the_tables_have_the_same_names_as_before(pool: asyncpg.Pool) -> None:
    log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    await write(log, running())
    before = await pool.fetch(TABLES)
    for projection in PROJECTIONS * 2:
        await Rebuild(projection, log=log, store=views, clock=SystemClock()).run(waits_for_skips=False)

    assert await pool.fetch(TABLES) == before


@pytest.mark.parametrize("role", ["oxbot_projector", "oxbot_operator"])
async def test_a_projector_may_keep_and_rebuild_the_views(database: str, role: Role) -> None:
    async with await open_pool(database, size=3, application_name="tests", role=role) as pool:
        log, views = PostgresEventLog(pool, Codec()), PostgresViews(pool)
        await fleet_log(log, frames=10)
        await ProjectionRunner(log, views).catch_up()
        await Rebuild(BOTS, log=log, store=views, clock=SystemClock()).run(waits_for_skips=False)
        await views.open_rebuild("users", version=2, build=(await log.read_all(limit=1))[0].event_id)
        assert await views.discard_rebuild("users")

        assert [view.first_difference for view in (await rebuild_views(log, views)).views] == [None] * len(BOT_VIEWS)


@pytest.mark.parametrize("role", ["oxbot_api", "oxbot_host", "oxbot_market", "oxbot_sealer"])
async def test_everybody_else_may_only_read_them_also_after_a_swap(
    database: str, pool: asyncpg.Pool, role: Role
) -> None:
    log, own = PostgresEventLog(pool, Codec()), PostgresViews(pool)
    await write(log, [*running(), deposited("1")])
    await Rebuild(BOTS, log=log, store=own, clock=SystemClock()).run(waits_for_skips=False)
    checkpoint = await own.checkpoint(Target("bots"))
    assert checkpoint is not None
    async with await open_pool(database, size=2, application_name="tests", role=role) as reading:
        views = PostgresViews(reading)
        async with views.snapshot() as snapshot:
            assert (snapshot.position, await snapshot.row("bots", BOT) is not None) == (4, True)
        assert {standing.projection for standing in await views.standings()} == {
            "bots",
            "users",
            "system",
            "models",
            "alerts",
        }
        with pytest.raises((asyncpg.InsufficientPrivilegeError, OxbotError)):
            await views.commit(Target("bots"), [], {}, after=checkpoint, reached=checkpoint)
        for statement in (
            "delete from views.bots",
            'update views.projections set "position" = 0',
            "select views.drop_build('bots', array['bots'])",
            "lock table views.bots in access exclusive mode",
            "drop table views.bots",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with reading.acquire() as connection, connection.transaction():
                    await connection.execute(statement)
