"""The order of the queue: classes by weight, owners and bots by who was served longest ago, nobody never."""

from collections import Counter
from datetime import timedelta
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from events.advice import AdviceClass
from events.identifiers import BotId
from oxbot.app.models.queue import WEIGHTS, FairQueue, Served
from tests.core.scenario import START


class Question(NamedTuple):
    advice_class: AdviceClass
    payees: tuple[Served, ...]
    continuing: bool = False


def question(bot: str, owner: str = "", advice_class: AdviceClass = "paper", *, continuing: bool = False) -> Question:
    return Question(advice_class, (Served(owner, BotId(bot)),), continuing)


def drained(queue: FairQueue[Question], count: int) -> list[Question]:
    """The next questions, each served as it comes."""
    found = []
    for number in range(count):
        chosen = queue.pop()
        assert chosen is not None
        queue.serve(chosen.payees, START + timedelta(seconds=number))
        found.append(chosen)
    return found


def test_an_empty_queue_has_nobody_next() -> None:
    assert FairQueue[Question]().pop() is None


def test_while_all_classes_wait_each_gets_its_share_of_a_hundred() -> None:
    queue: FairQueue[Question] = FairQueue()
    for advice_class in WEIGHTS:
        for number in range(100):
            queue.push(question(f"{advice_class}-{number}", advice_class=advice_class))
    shares = Counter(each.advice_class for each in drained(queue, 100))
    assert all(abs(shares[advice_class] - weight) <= 1 for advice_class, weight in WEIGHTS.items())


def test_a_class_that_did_not_ask_cannot_ask_for_all_at_once_later() -> None:
    queue: FairQueue[Question] = FairQueue()
    for number in range(200):
        queue.push(question(f"p-{number}"))
    drained(queue, 100)
    for number in range(100):
        queue.push(question(f"r-{number}", advice_class="research"))
    shares = Counter(each.advice_class for each in drained(queue, 30))
    assert shares["research"] in (9, 10, 11)


@given(bots=st.integers(1, 60), rounds=st.integers(1, 12), per_round=st.integers(1, 60))
def test_bots_that_ask_in_every_round_are_served_equally_often(bots: int, rounds: int, per_round: int) -> None:
    queue: FairQueue[Question] = FairQueue()
    times, waiting, now = Counter[str](), set[str](), START
    for _ in range(rounds):
        for number in range(bots):
            if f"bot-{number}" not in waiting:
                waiting.add(f"bot-{number}")
                queue.push(question(f"bot-{number}"))
        for _ in range(min(per_round, bots)):
            chosen = queue.pop()
            assert chosen is not None
            now += timedelta(seconds=1)
            queue.serve(chosen.payees, now)
            waiting.discard(chosen.payees[0].bot_id)
            times[chosen.payees[0].bot_id] += 1
    served = [times[f"bot-{number}"] for number in range(bots)]
    assert max(served) - min(served) <= 1


def test_an_owner_of_one_bot_does_not_wait_behind_an_owner_of_many() -> None:
    queue: FairQueue[Question] = FairQueue()
    for number in range(50):
        queue.push(question(f"many-{number}", "rich"))
    drained(queue, 1)
    queue.push(question("only", "poor"))
    assert drained(queue, 1)[0].payees[0].owner == "poor"


def test_what_was_paid_for_in_part_goes_first() -> None:
    queue: FairQueue[Question] = FairQueue()
    queue.push(question("a"))
    queue.restore(BotId("b"), "", START)
    queue.push(question("b", continuing=True))
    assert [each.payees[0].bot_id for each in drained(queue, 2)] == ["b", "a"]


def test_who_was_served_by_the_gateway_before_waits_for_those_who_were_not() -> None:
    queue: FairQueue[Question] = FairQueue()
    queue.restore(BotId("a"), "", START)
    queue.push(question("a"))
    queue.push(question("b"))
    assert [each.payees[0].bot_id for each in drained(queue, 2)] == ["b", "a"]


def test_a_question_that_nobody_waits_for_is_passed_over() -> None:
    queue: FairQueue[Question] = FairQueue()
    queue.push(Question("live", ()))
    assert queue.pop() is None
