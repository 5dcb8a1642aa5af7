"""No sequence of commands breaks the exchange's books, and its record plays it again to the last byte."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.exchange.engine_machine import ExchangeMachine

LIVES, STEPS = 250, 40
ALWAYS_HAPPEN = {
    "orders filled",
    "orders canceled",
    "orders taken",
    "orders refused 51008",
    "algos effective",
    "fills SPOT M",
    "fills SWAP M",
    "fills SWAP T",
    "bills 5",
    "bills 8",
}


def test_no_life_of_the_exchange_breaks_its_books() -> None:
    ExchangeMachine.happened.clear()
    run_state_machine_as_test(
        ExchangeMachine,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            deadline=None,
        ),
    )
    assert all(ExchangeMachine.happened[what] for what in ALWAYS_HAPPEN), ExchangeMachine.happened
