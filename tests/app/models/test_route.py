"""The way to a model: who is turned away from it, who waits for how long, and that it does not spin."""

from datetime import timedelta

from events.advice import AdviceClass
from events.identifiers import AdviceId, BotId, FleetName
from oxbot.app.models.flight import Flight
from oxbot.app.models.route import QUEUE_MAX, UNDER_WAY_MAX, Route
from oxbot.app.models.transport import Message
from oxbot.app.models.wanted import AdviceWanted, Prompt
from tests.app.models.world import MODEL, model, read
from tests.core.scenario import START


def flight(bot: str, *, advice_class: AdviceClass = "paper", seconds: float = 60) -> Flight:
    wanted = AdviceWanted(
        advice_id=AdviceId(f"{bot}-a1"),
        bot_id=BotId(bot),
        fleet=FleetName("fleet"),
        advice_class=advice_class,
        model=MODEL,
        template="market/1",
        prompt=Prompt((Message("user", bot),), "{}"),
        read=read,
        deadline=START + timedelta(seconds=seconds),
    )
    return Flight(wanted, [known])


known = model()


def test_when_too_many_wait_one_more_is_turned_away_unless_it_is_about_what_is_held() -> None:
    route = Route(known)
    for number in range(QUEUE_MAX):
        assert route.closed(flight(f"bot-{number}")) is None
        route.push(flight(f"bot-{number}"))
    reason, detail = route.closed(flight("late")) or ("", "")
    assert (reason, detail) == ("overloaded", "5000 requests wait for model already")
    assert route.closed(flight("held", advice_class="exit")) is None


def test_no_more_calls_are_under_way_than_may_be() -> None:
    route = Route(known)
    route.push(flight("a"))
    assert route.opens(START) == START
    route.under_way = UNDER_WAY_MAX
    assert route.opens(START) is None


def test_a_delayed_question_is_next_when_its_time_has_come() -> None:
    route = Route(known)
    route.push(flight("a"), not_before=START + timedelta(seconds=5))
    assert route.opens(START) is None
    assert route.opens(START + timedelta(seconds=5)) == START + timedelta(seconds=5)
    chosen = route.pop()
    assert chosen is not None
    assert chosen.key == flight("a").key
    assert route.opens(START + timedelta(seconds=6)) is None


def test_a_question_that_was_taken_out_is_neither_next_nor_waited_for() -> None:
    route = Route(known)
    gone = flight("a")
    route.push(gone)
    route.queued.discard(gone)
    assert route.opens(START) is None
    assert route.pop() is None


def test_a_question_that_nobody_waits_for_does_not_keep_the_route_awake() -> None:
    route = Route(known)
    abandoned = flight("a")
    route.push(abandoned)
    abandoned.waiting.clear()
    assert route.pop() is None
    assert route.opens(START) is None


def test_who_waits_is_told_when_its_time_is_up_and_only_then() -> None:
    route = Route(known)
    waiting = flight("a", seconds=30)
    route.push(waiting)
    assert list(route.expired(START + timedelta(seconds=29))) == []
    ((found, wanted),) = route.expired(START + timedelta(seconds=30))
    assert found is waiting
    assert wanted.bot_id == "a"


def test_an_open_breaker_lets_those_wait_who_can() -> None:
    route = Route(known)
    route.breaker.restore(START + timedelta(seconds=30))
    assert route.closed(flight("patient", seconds=60)) is None
    reason, _ = route.closed(flight("hurried", seconds=20)) or ("", "")
    assert reason == "breaker_open"
    route.push(flight("patient"))
    assert route.opens(START) == START + timedelta(seconds=30)
    assert route.breaker.begin()
    assert route.opens(START + timedelta(seconds=31)) is None


def test_a_call_that_would_come_too_late_is_not_begun() -> None:
    route = Route(known)
    for seconds in (2, 2, 2, 3, 60):
        route.took(timedelta(seconds=seconds))
    assert route.margin == timedelta(seconds=5)
    for _ in range(20):
        route.took(timedelta(seconds=3))
    route.push(flight("a", seconds=30))
    assert not list(route.expired(START + timedelta(seconds=26.9)))
    assert len(list(route.expired(START + timedelta(seconds=27)))) == 1
