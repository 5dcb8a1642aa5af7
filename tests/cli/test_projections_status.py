"""How projections stand, in words: the state, what stops one in full, and what is to be done."""

from datetime import UTC, datetime

import pytest

from oxbot.app.projections import ProjectionStatus, State
from oxbot.app.views import Standing
from oxbot.cli.projections_status import columns, notices
from oxbot.views.fold import Poison

AGAIN = "oxbot projections rebuild bots goes on with it"
ERROR = "KeyError: 'an order that nobody has placed', " + "very long " * 20 + "\x1b[31m"
POISON = Poison(4814, "order.filled", ERROR)
STOPPED = f"is stopped at position 4814 (order.filled): {ERROR[:-5]}?[31m"


def build(
    *, rebuild: bool = False, position: int = 4813, head: int = 5000, stopped: Poison | None = None, seen: float = 1.4
) -> Standing:
    """A build of the bots."""
    return Standing("bots", rebuild, 1, position, head, 2.04, stopped, datetime.now(UTC), seen)


def status(state: State, serving: Standing, rebuild: Standing | None = None) -> ProjectionStatus:
    """The bots' projection."""
    return ProjectionStatus("bots", state, serving, rebuild)


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        (status("catching_up", build()), ("bots", "1", "catching up", "4813", "187", "2.0", "1")),
        (
            status("not_running", build(seen=312.2)),
            ("bots", "1", "not running (seen 312 s ago)", "4813", "187", "2.0", "312"),
        ),
        (status("ahead", build(head=9)), ("bots", "1", "ahead", "4813", "beyond the log", "2.0", "1")),
    ],
)
def test_the_columns_say_the_state_and_the_lag(known: ProjectionStatus, shown: tuple[str, ...]) -> None:
    assert columns(known) == shown


def test_a_projection_that_is_as_it_should_be_needs_no_notice() -> None:
    assert notices(status("running", build()), ()) == []


def test_views_beyond_the_log_are_told_with_both_numbers() -> None:
    [line] = notices(status("ahead", build(head=9)), ())

    assert line.startswith("bots is built up to position 4813, but the log ends at 9: restore both together, or oxbot")


def test_a_stop_is_told_in_full_with_the_way_on() -> None:
    [line] = notices(status("stopped", build(stopped=POISON)), ())
    assert line == f"bots {STOPPED}; mend it, or oxbot projections skip bots 4814 --reason TEXT"

    [line] = notices(status("stopped", build(stopped=POISON)), {4814})
    assert line == f"bots {STOPPED}; it is to pass over that, and goes on as soon as a projector runs"


def test_a_failure_that_is_no_events_cannot_be_skipped() -> None:
    [line] = notices(status("stopped", build(position=7, stopped=Poison(7, "", "OSError: no"))), ())

    assert line == "bots fails at position 7: OSError: no"


@pytest.mark.parametrize(
    ("rebuild", "skipped", "said"),
    [
        (build(rebuild=True), (), "the rebuild of bots is at position 4813 of 5000"),
        (
            build(rebuild=True, seen=60),
            (),
            f"the rebuild of bots is at position 4813 of 5000, but is not running (seen 60 s ago): {AGAIN}",
        ),
        (
            build(rebuild=True, stopped=POISON),
            (),
            f"the rebuild of bots {STOPPED}; mend it, or oxbot projections skip bots 4814 --reason TEXT",
        ),
        (
            build(rebuild=True, stopped=POISON, seen=60),
            (),
            f"the rebuild of bots {STOPPED}; mend it, or oxbot projections skip bots 4814 --reason TEXT; then {AGAIN}",
        ),
        (
            build(rebuild=True, stopped=POISON, seen=60),
            (4814,),
            f"the rebuild of bots {STOPPED}; it may pass over that by now: {AGAIN}",
        ),
    ],
)
def test_what_is_to_be_done_about_a_rebuild_is_told(rebuild: Standing, skipped: tuple[int, ...], said: str) -> None:
    assert notices(status("running", build(), rebuild), skipped) == [said]
