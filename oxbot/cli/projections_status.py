"""How projections stand, in words: a line each, and one more for whatever needs somebody to act."""

from collections.abc import Collection

from oxbot.app.projections import ProjectionStatus, is_kept
from oxbot.app.views import Standing
from oxbot.cli.audit_words import printable
from oxbot.views.fold import Poison

COLUMNS = ("projection", "version", "state", "position", "events behind", "seconds behind", "seen seconds ago")


def columns(known: ProjectionStatus) -> tuple[str, ...]:
    """A projection's line of the table."""
    serving = known.serving
    seen = f"{serving.seen_seconds:.0f}"
    state = f"not running (seen {seen} s ago)" if known.state == "not_running" else known.state.replace("_", " ")
    behind = "beyond the log" if known.state == "ahead" else str(known.lag_events)
    return known.name, str(serving.version), state, str(serving.position), behind, f"{serving.lag_seconds:.1f}", seen


def notices(known: ProjectionStatus, skipped: Collection[int]) -> list[str]:
    """What is not as it should be, whole, and what is to be done; ``skipped`` are the positions it is to pass over."""
    said = []
    name, serving, rebuild = known.name, known.serving, known.rebuild
    if known.state == "ahead":
        said.append(
            f"{name} is built up to position {serving.position}, but the log ends at {serving.head}: "
            f"restore both together, or oxbot projections rebuild {name}"
        )
    if serving.stopped is not None:
        said.append(_stop(name, serving, serving.stopped) + _way_on(name, serving, serving.stopped, skipped))
    if rebuild is not None:
        said.append(_rebuild(name, rebuild, skipped))
    return [printable(line) for line in said]


def _rebuild(name: str, rebuild: Standing, skipped: Collection[int]) -> str:
    again = f"oxbot projections rebuild {name}"
    if rebuild.stopped is None:
        what = f"the rebuild of {name} is at position {rebuild.position} of {rebuild.head}"
        if is_kept(rebuild):
            return what
        return f"{what}, but is not running (seen {rebuild.seen_seconds:.0f} s ago): {again} goes on with it"
    stop = _stop(f"the rebuild of {name}", rebuild, rebuild.stopped)
    if is_kept(rebuild):
        return stop + _way_on(name, rebuild, rebuild.stopped, skipped)
    if rebuild.stopped.position in skipped:
        return f"{stop}; it may pass over that by now: {again} goes on with it"
    return f"{stop + _way_on(name, rebuild, rebuild.stopped, skipped)}; then {again} goes on with it"


def _stop(who: str, build: Standing, stopped: Poison) -> str:
    kind = f" ({stopped.event_type})" if stopped.event_type else ""
    how = "is stopped" if stopped.position > build.position else "fails"
    return f"{who} {how} at position {stopped.position}{kind}: {stopped.error}"


def _way_on(name: str, build: Standing, stopped: Poison, skipped: Collection[int]) -> str:
    if stopped.position <= build.position:
        return ""
    if stopped.position in skipped:
        return "; it is to pass over that, and goes on as soon as a projector runs"
    return f"; mend it, or oxbot projections skip {name} {stopped.position} --reason TEXT"
