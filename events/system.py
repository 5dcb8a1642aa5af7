"""The facts of the installation itself: signed checkpoints, projections rebuilt or told to skip, subjects erased."""

from events.identifiers import StreamId
from events.values import Value

SYSTEM_STREAM = StreamId("system")


class CheckpointSigned(Value, frozen=True, kw_only=True, tag="checkpoint.signed"):
    """The log's first ``tree_size`` events have this Merkle root (base64); ``note`` is the signed C2SP checkpoint."""

    tree_size: int
    root: str
    note: str


class ProjectionRebuilt(Value, frozen=True, kw_only=True, tag="projection.rebuilt"):
    """The views of a projection were folded again from the first event and now serve, built up to ``position``."""

    projection: str
    projection_version: int
    position: int


class ProjectionEventSkipped(Value, frozen=True, kw_only=True, tag="projection.event_skipped"):
    """Somebody let a projection pass over an event that it could not apply."""

    projection: str
    position: int
    reason: str


class SubjectErased(Value, frozen=True, kw_only=True, tag="subject.erased"):
    """The key to a person's encrypted fields was destroyed; what they held cannot be read again."""

    subject: str
    reason: str


class RangeArchived(Value, frozen=True, kw_only=True, tag="log.range_archived"):
    """A range of positions was copied to files, verified, and is about to leave the database."""

    first_position: int
    last_position: int
    manifest_sha256: str


class StreamEnded(Value, frozen=True, kw_only=True, tag="stream.ended"):
    """The last fact of any stream: nothing may be appended to it again."""

    reason: str = ""


SystemFact = CheckpointSigned | ProjectionRebuilt | ProjectionEventSkipped | SubjectErased | RangeArchived | StreamEnded
