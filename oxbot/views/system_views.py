"""The fold of the installation's own stream: signed checkpoints, rebuilt projections, skipped events."""

import msgspec

from events.envelope import RecordedEvent
from events.identifiers import StreamId
from events.system import SYSTEM_STREAM, CheckpointSigned, ProjectionEventSkipped, ProjectionRebuilt
from oxbot.views.fold import Draft, Projection
from oxbot.views.rows import SYSTEM_VIEWS, RebuildRow, Row, SignedCheckpointRow, SkipRow


class NoBooks(msgspec.Struct, frozen=True):
    """Each of these facts says everything by itself."""


def project(books: NoBooks, event: RecordedEvent) -> tuple[NoBooks, list[Draft]]:
    """The row that the event makes, if it makes one."""
    row = _row(event)
    return books, [] if row is None else [Draft(row.view, row.owner, row.key, lambda: row)]


def _row(event: RecordedEvent) -> Row | None:
    position, recorded_at = event.position, event.recorded_at
    match event.fact:
        case CheckpointSigned(tree_size=tree_size, root=root, note=note):
            return SignedCheckpointRow(
                tree_size=tree_size, root=root, note=note, position=position, recorded_at=recorded_at
            )
        case ProjectionRebuilt(projection=name, projection_version=version, position=built_to):
            return RebuildRow(
                projection=name,
                projection_version=version,
                built_to=built_to,
                position=position,
                recorded_at=recorded_at,
            )
        case ProjectionEventSkipped(projection=name, position=skipped, reason=reason):
            return SkipRow(
                projection=name, skipped_position=skipped, reason=reason, position=position, recorded_at=recorded_at
            )
        case _:
            return None


def _owner(stream: StreamId) -> str | None:
    return "system" if stream == SYSTEM_STREAM else None


SYSTEM = Projection("system", 1, SYSTEM_VIEWS, _owner, NoBooks, project)
"""What was done to the log and its projections."""
