"""The ledger and the naive one agree on any life of the books, and no life breaks what must always hold of them."""

from collections.abc import Callable

import pytest

from tests.core.ledger_machine import LedgerMachine
from tests.machines import live_all

STEPS = 40
ALWAYS_HAPPEN = {
    "funding",
    "funding after the close",
    "liquidations",
    "losses covered by the venue",
    "trips that left dust",
    "closed long spot trips",
    "closed long perpetual trips",
    "closed short perpetual trips",
}


@pytest.fixture
def sequences(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--ledger-sequences"))


def test_no_life_of_the_books_breaks_them(sequences: int, record_property: Callable[[str, object], None]) -> None:
    live_all(LedgerMachine, LedgerMachine.happened, lives=sequences, steps=STEPS, wanted=ALWAYS_HAPPEN)
    record_property("counts", dict(LedgerMachine.happened))
    assert LedgerMachine.happened["sequences"] >= sequences
