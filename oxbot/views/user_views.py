"""The fold of an account's stream into its row; what is personal stays out of it."""

from datetime import datetime
from functools import partial
from typing import assert_never

import msgspec

from events.envelope import RecordedEvent
from events.identifiers import StreamId
from events.user import (
    ApiTokenIssued,
    ApiTokenRevoked,
    CredentialChanged,
    Role,
    SessionEnded,
    SignInFailed,
    SignInSucceeded,
    UserCreated,
    UserDisabled,
    UserEnabled,
    UserFact,
    UserRoleChanged,
)
from oxbot.core.account import USER_STREAM_PREFIX
from oxbot.views.fold import Draft, Projection
from oxbot.views.rows import USER_VIEWS, AccountRow


class AccountBooks(msgspec.Struct, frozen=True, kw_only=True):
    """All that the fold must remember of an account between two events."""

    role: Role | None = None
    created_at: datetime | None = None
    credential_changed_at: datetime | None = None
    last_sign_in_at: datetime | None = None
    failed_sign_ins: int = 0


def project(books: AccountBooks, event: RecordedEvent) -> tuple[AccountBooks, list[Draft]]:
    """The books after the event, and the account's row."""
    fact: UserFact = event.fact  # type: ignore[assignment]  # a user's stream holds a user's facts
    after = _after(books, fact, event.occurred_at)
    user_id = event.stream[len(USER_STREAM_PREFIX) :]
    return after, [Draft("accounts", user_id, "", partial(_row, after, user_id))]


def _after(books: AccountBooks, fact: UserFact, at: datetime) -> AccountBooks:
    replace = msgspec.structs.replace
    match fact:
        case UserCreated():
            return replace(books, role=fact.role, created_at=at)
        case CredentialChanged():
            return replace(books, credential_changed_at=at, failed_sign_ins=0)
        case SignInSucceeded():
            return replace(books, last_sign_in_at=at, failed_sign_ins=0)
        case SignInFailed(attempts=attempts):
            return replace(books, failed_sign_ins=books.failed_sign_ins + attempts)
        case UserRoleChanged(role=role):
            return replace(books, role=role)
        case UserDisabled() | UserEnabled() | SessionEnded() | ApiTokenIssued() | ApiTokenRevoked():
            return books
        case _:
            assert_never(fact)


def _row(books: AccountBooks, user_id: str) -> AccountRow:
    return AccountRow(user_id=user_id, **msgspec.structs.asdict(books))


def _owner(stream: StreamId) -> str | None:
    return stream[len(USER_STREAM_PREFIX) :] if stream.startswith(USER_STREAM_PREFIX) else None


USERS = Projection("users", 1, USER_VIEWS, _owner, AccountBooks, project)
"""Who has an account, and how signing in went."""
