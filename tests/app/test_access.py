"""Who may read and command what, and whose each bot is, also before it is in the views."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest

from events.codec import Codec
from events.envelope import Fact, NewEvent
from events.identifiers import HOUSE, BotId, OwnerId, bot_stream, new_event_id
from events.log import ANY_VERSION
from events.memory import MemoryEventLog
from events.user import Role
from oxbot.adapters.memory_views import MemoryViews
from oxbot.app.access import BotOwners, ReadableRows, may_command, may_read, owners_read_by
from oxbot.app.projection import ProjectionRunner
from oxbot.app.views import Snapshot, StoredRow
from oxbot.views.rows import ViewName
from tests.core.scenario import START, created, deposited

pytestmark = pytest.mark.anyio

ANNA, BEN = OwnerId("anna"), OwnerId("ben")
BOTS = {BotId("b-anna"): ANNA, BotId("b-ben"): BEN, BotId("b-house"): HOUSE}


class Somebody(NamedTuple):
    """A ``Person``."""

    user_id: str
    role: Role


CREATED_VERSION = 2
"""A bot was created and given capital."""


class CountingViews(MemoryViews):
    """Counts how often a row is asked for."""

    asked = 0

    async def row(self, view: ViewName, owner: str, key: str = "") -> bytes | None:
        """The row."""
        self.asked += 1
        return await super().row(view, owner, key)


class Scene:
    """A log with bots of two people and the house, and the views of it."""

    def __init__(self) -> None:
        self.log = MemoryEventLog(Codec())
        self.views = CountingViews(self.log)
        self.owners = BotOwners(self.views, self.log)

    async def create(self, bots: dict[BotId, OwnerId]) -> None:
        """Bring them into being."""
        for bot_id, owner in bots.items():
            facts: list[Fact] = [msgspec.structs.replace(created(), bot_id=bot_id, owner=owner), deposited()]
            events = [NewEvent(event_id=new_event_id(), occurred_at=START, fact=fact) for fact in facts]
            await self.log.append(bot_stream(bot_id), events, expected=ANY_VERSION)

    async def project(self) -> None:
        """Bring the views up to the log."""
        await ProjectionRunner(self.log, self.views).catch_up()


@pytest.fixture
async def scene() -> Scene:
    """With the bots in the views."""
    scene = Scene()
    await scene.create(BOTS)
    await scene.project()
    return scene


@pytest.mark.parametrize(
    ("role", "owner", "reads", "commands"),
    [
        ("viewer", ANNA, True, False),
        ("viewer", HOUSE, True, False),
        ("viewer", BEN, False, False),
        ("trader", ANNA, True, True),
        ("trader", HOUSE, True, False),
        ("trader", BEN, False, False),
        ("admin", ANNA, True, True),
        ("admin", HOUSE, True, True),
        ("admin", BEN, True, True),
    ],
)
def test_the_rule(role: Role, owner: OwnerId, reads: bool, commands: bool) -> None:
    user = Somebody(ANNA, role)
    assert (may_read(user, owner), may_command(user, owner)) == (reads, commands)
    listed = owners_read_by(user)
    assert (listed is None or owner in listed) is reads


async def test_the_owner_of_a_bot_is_found_in_the_views_once_and_then_remembered(scene: Scene) -> None:
    for _ in range(3):
        assert [await scene.owners.of(bot_id) for bot_id in BOTS] == list(BOTS.values())
    assert scene.views.asked == len(BOTS)
    assert await scene.owners.of(BotId("nobody")) is None


async def test_a_bot_that_is_not_in_the_views_yet_is_found_in_the_log(scene: Scene) -> None:
    assert await scene.owners.of(BotId("b-late")) is None
    await scene.create({BotId("b-late"): BEN})
    assert await scene.owners.of(BotId("b-late")) == BEN
    await scene.create({BotId(f"b-{number}"): ANNA for number in range(3)})
    assert [await scene.owners.of(BotId(f"b-{number}")) for number in range(3)] == [ANNA] * 3


async def test_the_whole_log_is_read_where_there_are_no_views(scene: Scene) -> None:
    empty = MemoryViews(scene.log)
    assert await BotOwners(empty, scene.log).of(BotId("b-ben")) == BEN


async def test_refusing_somebody_elses_bot_takes_the_same_look_as_refusing_none(scene: Scene) -> None:
    anna = Somebody(ANNA, "trader")
    looks = []
    for bot_id in ("b-ben", "nobody") * 2:
        before = scene.views.asked
        assert await scene.owners.readable(anna, BotId(bot_id)) is None
        looks.append(scene.views.asked - before)
    assert looks == [1] * 4
    assert await scene.owners.readable(anna, BotId("b-house")) == HOUSE
    assert await scene.owners.readable(Somebody("x", "admin"), BotId("b-ben")) == BEN


def bots(rows: Sequence[StoredRow]) -> list[str]:
    """Whose rows they are."""
    return [row.owner for row in rows]


async def seen_by(scene: Scene, views: Snapshot, user: Somebody) -> dict[str, object]:
    """What somebody sees, whichever way he looks."""
    readable = ReadableRows(views, user, scene.owners)
    whole = await readable.everything()
    return {
        "across": bots(await readable.across("portfolios", limit=9)),
        "named": bots(await readable.across("portfolios", of_owners=[ANNA, BEN], limit=9)),
        "row": [bot_id for bot_id in BOTS if await readable.row("bots", bot_id) is not None],
        "rows": [bot_id for bot_id in BOTS if await readable.rows("holdings", bot_id, limit=9)],
        "everything": bots(whole["bots"]),
        "version_of": [bot_id for bot_id in BOTS if await readable.version_of(bot_id) == CREATED_VERSION],
    }


async def test_rows_are_those_that_one_may_read_whichever_way_they_are_looked_for(scene: Scene) -> None:
    async with scene.views.snapshot() as views:
        anna = await seen_by(scene, views, Somebody(ANNA, "trader"))
        admin = await seen_by(scene, views, Somebody("x", "admin"))
        assert ReadableRows(views, Somebody(ANNA, "viewer"), scene.owners).position == views.position
    mine = ["b-anna", "b-house"]
    every, ways = [*BOTS], ("across", "row", "rows", "everything", "version_of")
    assert anna == {**dict.fromkeys(ways, mine), "named": ["b-anna"]}
    assert admin == {**dict.fromkeys(ways, every), "named": ["b-anna", "b-ben"]}
