"""The execution under fire: whatever fails, and whenever the process dies, log and venue agree in the end."""

from collections import Counter
from collections.abc import Callable
from itertools import product

import pytest

from oxbot.adapters.memory_venue import Effect, Moment, Step, VenueFault
from oxbot.app.venue import VenueHint
from tests.simulation import execution_lives, execution_script
from tests.simulation.execution_world import Incarnation, World

SENDING: tuple[Step, ...] = ("place", "amend", "cancel")
ASKING: tuple[Step, ...] = (
    "now", "lookup", "open_orders", "fills", "funding", "positions", "balances", "configure", "cancel_all_after",
)  # fmt: skip
EFFECTS: tuple[Effect, ...] = ("lost", "late", "refused", "hang")
MOMENTS: tuple[Moment, ...] = ("before", "after")
CRASHES = (0, 1, 3, 8)
"""So many points after the fault the process dies; 0: it lives on."""

STRIDE = 5
"""A process stands still at every so manieth point, elsewhere for each way of waking; at every one in a long run."""

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--execution-runs"))


def undisturbed(one: Incarnation) -> None:
    del one


@pytest.fixture(scope="module")
def points() -> int:
    """At how many points the process can die in the script's life."""
    return execution_script.lived(undisturbed).incarnations[0].points


def test_the_script_does_every_step_of_an_order() -> None:
    world = execution_script.lived(undisturbed)
    calls = Counter(world.incarnations[0].venue.calls)
    assert all(calls[step] for step in (*SENDING, *ASKING)), calls
    tags = Counter(row.event_type for row in world.log.stored)
    assert all(
        tags[f"order.{step}"]
        for step in ("submitted", "accepted", "triggered", "amended", "cancelled", "filled", "amend_requested")
    ), tags
    assert tags["funding.settled"] == 1
    assert not tags["order.in_doubt"]


@pytest.mark.parametrize("step", [*SENDING, *ASKING])
def test_a_fault_in_any_step_loses_and_doubles_nothing(step: Step, record_property: Record) -> None:
    counts: Counter[str] = Counter()
    effects = EFFECTS if step in SENDING else tuple(effect for effect in EFFECTS if effect != "late")
    for effect, moment, crash in product(effects, MOMENTS, CRASHES):

        def prepare(one: Incarnation, effect: Effect = effect, moment: Moment = moment, crash: int = crash) -> None:
            one.venue.faults += [VenueFault(step, effect, moment)] * 2
            one.crash_after_fault = crash

        counts += _counts(execution_script.lived(prepare))
        counts["runs"] += 1
    assert counts["crashed"] > 0
    record_property("counts", dict(counts))


def test_a_crash_at_any_point_loses_and_doubles_nothing(points: int, record_property: Record) -> None:
    counts: Counter[str] = Counter()
    for point in range(1, points + 1):

        def prepare(one: Incarnation, point: int = point) -> None:
            one.crash_at = point

        counts += _counts(execution_script.lived(prepare))
        counts["runs"] += 1
    assert counts["crashed"] == points
    record_property("counts", dict(counts))


@pytest.mark.parametrize(("asleep_seconds", "answer_seconds"), [(2, 1000.0), (6, 3.0), (20, 1000.0)])
def test_a_process_that_stood_still_at_any_point_does_no_harm_when_it_wakes(
    points: int, runs: int, asleep_seconds: int, answer_seconds: float, record_property: Record
) -> None:
    counts: Counter[str] = Counter()
    for point in range(1, points + 1) if runs > 1000 else range(1 + asleep_seconds % STRIDE, points + 1, STRIDE):

        def prepare(one: Incarnation, point: int = point) -> None:
            one.freeze_at = point

        world = execution_script.lived(prepare, asleep_seconds=asleep_seconds, answer_seconds=answer_seconds)
        counts += _counts(world)
        counts["runs"] += 1
    assert counts["superseded"] >= counts["runs"] * 0.9
    record_property("counts", dict(counts))


def test_hints_that_are_missing_doubled_or_out_of_order_change_nothing() -> None:
    def muted(one: Incarnation) -> None:
        one.venue.muted = True

    def noisy(one: Incarnation) -> None:
        heard: list[VenueHint] = []

        def again(hint: VenueHint) -> None:
            heard.append(hint)
            for old in reversed(heard[-3:]):
                one.venue.push(old)

        one.world.books.listeners.append(again)

    execution_script.lived(muted)
    usual, loud = execution_script.lived(undisturbed), execution_script.lived(noisy)
    assert len(loud.books.fills(loud.begun)) == len(usual.books.fills(usual.begun)) > 0


def test_trades_that_the_venue_shows_late_are_booked_all_the_same() -> None:
    def hidden(one: Incarnation) -> None:
        one.world.books.fills_shown_max = 1

    world = execution_script.lived(hidden)
    assert len(world.books.fills(world.begun)) > 1


def test_any_life_agrees_with_its_venue_in_the_end(runs: int, record_property: Record) -> None:
    counts: Counter[str] = Counter()
    for seed in range(runs):
        try:
            counts += execution_lives.lived(seed)
        except execution_lives.Disagreement as found:
            pytest.fail(f"seed {seed}: {found}")
    assert counts["crashed"] > 0
    assert counts["superseded"] > 0
    record_property("counts", dict(counts))


def _counts(world: World) -> Counter[str]:
    return world.ended + Counter(orders=len(world.books.orders()), fills=len(world.books.fills(world.begun)))
