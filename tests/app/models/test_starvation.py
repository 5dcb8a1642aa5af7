"""A thousand bots at one model that allows fifty calls a minute: all of them are served, none much before another."""

from datetime import datetime, timedelta

from events.advice import AdviceClass, AdviceReceived
from events.identifiers import AdviceId, BotId, FleetName
from oxbot.app.models.flight import Flight
from oxbot.app.models.route import Route
from oxbot.app.models.transport import Message
from oxbot.app.models.wanted import AdviceWanted, Prompt
from tests.app.models.test_gateway import lived
from tests.app.models.world import MODEL, World, model, read
from tests.core.scenario import START

BOTS = 1000
MINUTES = 60
OWNERS = 10
KNOWN = model(calls_per_minute=50, burst=3)


def flight(number: int, at: datetime, *, advice_class: AdviceClass) -> Flight:
    """A question of that bot's own, which it asks until it is answered."""
    bot = BotId(f"bot-{number}")
    wanted = AdviceWanted(
        advice_id=AdviceId(f"{bot}-{at:%H%M%S%f}"),
        bot_id=bot,
        fleet=FleetName("fleet"),
        owner=f"owner-{number % OWNERS}",
        advice_class=advice_class,
        model=MODEL,
        template="market/1",
        prompt=Prompt((Message("user", f"{bot} {at}"),), "{}"),
        read=read,
        deadline=at + timedelta(days=1),
    )
    return Flight(wanted, [KNOWN])


def served(minutes: int, *, classes: list[AdviceClass]) -> dict[int, list[datetime]]:
    """When each bot was called for, where each asks again as soon as it was; bot i's class is the i-th in turn."""
    route, now = Route(KNOWN), START
    times: dict[int, list[datetime]] = {number: [] for number in range(BOTS)}
    waiting: dict[Flight, int] = {}

    def ask(number: int) -> None:
        asked = flight(number, now, advice_class=classes[number % len(classes)])
        waiting[asked] = number
        route.push(asked)

    for number in range(BOTS):
        ask(number)
    while (opens := route.opens(now)) is not None and opens < START + timedelta(minutes=minutes):
        now = opens
        chosen = route.pop()
        assert chosen is not None
        route.limiter.take(now)
        route.queue.serve(chosen.payees, now)
        number = waiting.pop(chosen)
        times[number].append(now)
        ask(number)
    return times


def test_none_of_a_thousand_bots_is_served_twice_before_another_is_served_once() -> None:
    counts = {number: len(times) for number, times in served(MINUTES, classes=["paper"]).items()}
    assert sum(counts.values()) >= MINUTES * 47
    assert max(counts.values()) - min(counts.values()) <= 1
    assert min(counts.values()) >= 2


@lived
async def test_a_gateway_answers_a_thousand_bots_once_each_in_as_many_minutes_as_their_calls_take() -> None:
    world = World(models=[KNOWN])
    for number in range(BOTS):
        await world.want(f"bot-{number}", f"of bot {number}", seconds=60 * 22)
    await world.lives(60 * 22)
    assert len(world.provider.calls) == BOTS
    assert all([isinstance(await world.one(f"bot-{number}"), AdviceReceived) for number in range(BOTS)])


def test_the_limit_holds_in_any_minute_of_the_hour() -> None:
    calls = sorted(at for times in served(MINUTES, classes=["paper"]).values() for at in times)
    assert all(later - earlier >= timedelta(minutes=1) for earlier, later in zip(calls, calls[50:], strict=False))


def test_while_every_class_wants_more_than_its_share_the_last_class_is_served_too() -> None:
    classes: list[AdviceClass] = ["exit", "live", "paper", "research"]
    times = served(MINUTES, classes=classes)
    by_class = {name: [len(times[number]) for number in times if classes[number % 4] == name] for name in classes}
    total = sum(map(sum, by_class.values()))
    shares = {name: sum(counts) / total for name, counts in by_class.items()}
    assert shares["exit"] > shares["live"] > shares["paper"] > shares["research"] > 0.04
    for counts in by_class.values():
        assert max(counts) - min(counts) <= 1
