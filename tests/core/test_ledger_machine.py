"""The ledger and the naive one agree on any life of the books, and no life breaks what must always hold of them."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.ledger_machine import LedgerMachine

STEPS = 40
ROUND = 500
"""Sequences after which Hypothesis may forget what it tried; it keeps about 0.1 MB of each."""
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
    LedgerMachine.happened.clear()
    for done in range(0, sequences, ROUND):
        run_state_machine_as_test(
            LedgerMachine,
            settings=settings(
                max_examples=min(ROUND, sequences - done),
                stateful_step_count=STEPS,
                suppress_health_check=list(HealthCheck),
                deadline=None,
            ),
        )
    record_property("counts", dict(LedgerMachine.happened))
    assert LedgerMachine.happened["sequences"] >= sequences
    assert all(LedgerMachine.happened[what] for what in ALWAYS_HAPPEN), LedgerMachine.happened
