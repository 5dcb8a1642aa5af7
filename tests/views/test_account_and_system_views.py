"""The rows of accounts and of the installation itself."""

from datetime import datetime, timedelta

import msgspec

from events.envelope import Fact, Metadata, RecordedEvent
from events.identifiers import StreamId, new_event_id
from events.system import (
    SYSTEM_STREAM,
    CheckpointSigned,
    ProjectionEventSkipped,
    ProjectionRebuilt,
    RangeArchived,
    StreamEnded,
)
from events.user import CredentialChanged, SignInFailed, SignInSucceeded, UserCreated
from oxbot.views.fold import RowChange
from oxbot.views.projections import PROJECTION_OF, PROJECTIONS, ROW_TYPES
from oxbot.views.rows import VIEWS, AccountRow, RebuildRow, SignedCheckpointRow, SkipRow
from oxbot.views.system_views import SYSTEM
from oxbot.views.user_views import USERS
from tests.core.scenario import START

USER = StreamId("user-u1")


def at(minute: int) -> datetime:
    """A moment."""
    return START + timedelta(minutes=minute)


def events(stream: StreamId, *facts: Fact) -> list[RecordedEvent]:
    """The facts as events, a minute apart, from position 1 on."""
    return [
        RecordedEvent(n, stream, n, new_event_id(), "", at(n), at(n), fact, Metadata())
        for n, fact in enumerate(facts, start=1)
    ]


def row(changes: list[RowChange]) -> bytes:
    """The one row."""
    [change] = changes
    assert change.body is not None
    return change.body


def test_an_account_counts_its_failures_since_the_last_success() -> None:
    facts = (UserCreated(username="", role="trader"), SignInFailed(), SignInSucceeded(), SignInFailed(), SignInFailed())
    folded = USERS.fold().apply(events(USER, *facts))

    assert msgspec.json.decode(row(folded.changes), type=AccountRow) == AccountRow(
        user_id="u1",
        role="trader",
        created_at=at(1),
        credential_changed_at=None,
        last_sign_in_at=at(3),
        failed_sign_ins=2,
    )


def test_a_new_password_clears_the_failures() -> None:
    facts = (UserCreated(username="", role="admin"), SignInFailed(), CredentialChanged())
    account = msgspec.json.decode(row(USERS.fold().apply(events(USER, *facts)).changes), type=AccountRow)

    assert (account.failed_sign_ins, account.credential_changed_at) == (0, at(3))


def test_an_account_never_shows_its_name() -> None:
    folded = USERS.fold().apply(events(USER, UserCreated(username="eve", role="viewer")))

    assert b"eve" not in row(folded.changes)
    assert b"eve" not in folded.books["u1"]


def test_an_account_goes_on_from_its_books() -> None:
    facts = events(USER, UserCreated(username="", role="viewer"), SignInFailed(), SignInFailed())
    first, second = USERS.fold(), USERS.fold()
    second.recall(first.apply(facts[:2]).books)

    assert second.strangers(facts) == []
    assert row(second.apply(facts[2:]).changes) == row(USERS.fold().apply(facts).changes)


def test_the_installations_facts_are_rows() -> None:
    facts = (
        CheckpointSigned(tree_size=9, root="cm9vdA==", note="note"),
        ProjectionRebuilt(projection="bots", projection_version=2, position=8),
        ProjectionEventSkipped(projection="users", position=5, reason="broken"),
        RangeArchived(first_position=1, last_position=2, manifest_sha256=""),
    )
    changes = SYSTEM.fold().apply(events(SYSTEM_STREAM, *facts)).changes

    bodies = {change.view: change.body or b"" for change in changes}
    assert {change.view: (change.owner, change.key) for change in changes} == {
        "checkpoints": ("log", "0000000000000000009"),
        "rebuilds": ("bots", "0000000000000000002"),
        "skips": ("users", "0000000000000000005"),
    }
    assert msgspec.json.decode(bodies["checkpoints"], type=SignedCheckpointRow) == SignedCheckpointRow(
        tree_size=9, root="cm9vdA==", note="note", position=1, recorded_at=at(1)
    )
    assert msgspec.json.decode(bodies["rebuilds"], type=RebuildRow) == RebuildRow(
        projection="bots", projection_version=2, built_to=8, position=2, recorded_at=at(2)
    )
    assert msgspec.json.decode(bodies["skips"], type=SkipRow) == SkipRow(
        projection="users", skipped_position=5, reason="broken", position=3, recorded_at=at(3)
    )


def test_the_end_of_a_stream_is_no_row_of_anybody() -> None:
    for projection in PROJECTIONS:
        for stream in (USER, SYSTEM_STREAM, StreamId("bot-1")):
            assert projection.fold().apply(events(stream, StreamEnded())) == ([], {}, None)


def test_every_view_belongs_to_one_projection_and_has_a_kind_of_row() -> None:
    assert sorted(view for projection in PROJECTIONS for view in projection.views) == sorted(VIEWS)
    assert set(PROJECTION_OF) == set(ROW_TYPES) == set(VIEWS)
