"""No sequence of commands breaks the exchange's books, and its record plays it again to the last byte."""

from tests.exchange.engine_machine import ExchangeMachine
from tests.machines import live_all

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
    live_all(ExchangeMachine, ExchangeMachine.happened, lives=LIVES, steps=STEPS, wanted=ALWAYS_HAPPEN)
