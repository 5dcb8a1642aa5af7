"""State machines that are run until everything that their tests are about has happened at least once."""

from collections import Counter
from collections.abc import Collection

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

ROUND = 500
"""Lives after which Hypothesis may forget what it tried; it keeps about 0.1 MB of each."""
MORE = 5


def live_all(
    machine: type[RuleBasedStateMachine], happened: Counter[str], *, lives: int, steps: int, wanted: Collection[str]
) -> None:
    """So many lives, and some more, other ones, if these have left out what is wanted; fails if that never happens."""
    happened.clear()
    for done in range(0, lives, ROUND):
        _round(machine, min(ROUND, lives - done), steps)
    for _ in range(MORE):
        if all(happened[what] for what in wanted):
            return
        _round(machine, min(ROUND, lives), steps, other=True)
    missing = sorted(what for what in wanted if not happened[what])
    assert not missing, f"never happened: {missing}; what did: {dict(happened)}"


def _round(machine: type[RuleBasedStateMachine], lives: int, steps: int, *, other: bool = False) -> None:
    asked = settings(
        max_examples=lives, stateful_step_count=steps, suppress_health_check=list(HealthCheck), deadline=None
    )
    run_state_machine_as_test(machine, settings=settings(asked, derandomize=False) if other else asked)
