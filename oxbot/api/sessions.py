"""Signing in, and who one is."""

import math
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from starlette.responses import Response

from events.user import Role
from oxbot.api.bodies import Nothing, answer
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.api.tokens import LIFETIME, SignedIn


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name and a password."""

    username: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(max_length=256)]

    def __repr__(self) -> str:
        """Without the password."""
        return f"Credentials(username={self.username!r})"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token, how many seconds it is good for, and what it allows."""

    access_token: str
    token_type: str
    expires_in: int
    role: Role


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The account that a token is of."""

    user_id: str
    username: str
    role: Role


async def sign_in(call: Call[Nothing, Credentials]) -> Response:
    """Exchange a name and password for an access token."""
    client = call.request.client
    pair = (call.body.username, client.host if client else "")
    wait_seconds = call.services.sign_in_limit.claim(*pair)
    if wait_seconds:
        retry = {"Retry-After": str(math.ceil(wait_seconds))}
        raise Problem(429, "too many failed sign-ins; wait before the next", headers=retry)
    account = await call.services.accounts.sign_in(call.body.username, call.body.password)
    call.services.sign_in_limit.forget(*pair)
    token = call.services.tokens.issue(SignedIn(account.user_id, account.role), at=datetime.now(UTC))
    lifetime = int(LIFETIME.total_seconds())
    return answer(Session(access_token=token, token_type="Bearer", expires_in=lifetime, role=account.role), 201)  # noqa: S106


async def show_me(call: Call[Nothing, Nothing]) -> Response:
    """The account that made the request."""
    account = await call.services.accounts.find(call.user.user_id) if call.user else None
    if account is None:
        raise Problem(401, "the account is gone")
    return answer(Me(user_id=account.user_id, username=account.username, role=account.role))


OPERATIONS: tuple[Operation, ...] = (
    operation(
        sign_in,
        name="sign_in",
        method="POST",
        path=f"{PREFIX}/sessions",
        least="anyone",
        summary="Sign in with a name and password.",
        query=Nothing,
        body=Credentials,
        answer=Session,
        status=201,
        problems=(429, 503),
    ),
    operation(
        show_me,
        name="show_me",
        method="GET",
        path=f"{PREFIX}/me",
        least="viewer",
        summary="Who the token is of.",
        query=Nothing,
        body=Nothing,
        answer=Me,
    ),
)
