"""Signing in, staying signed in, signing out, and who one is."""

from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from events.errors import LogUnavailable
from events.user import Role, Scope
from oxbot.api import refresh_cookie
from oxbot.api.bodies import Nothing, answer
from oxbot.api.idempotency import once_sealed
from oxbot.api.operations import PREFIX, BodyT, Call, Operation, operation
from oxbot.api.problems import Problem, answer_error
from oxbot.api.sign_in_limit import TooMany
from oxbot.api.tokens import LIFETIME, SignedIn
from oxbot.app.accounts import SignInRefused
from oxbot.app.sessions import Opened, RefreshRefused, StoredSession

PATH = f"{PREFIX}/sessions"

RefreshCarrier = Literal["cookie", "body"]
"""Where the refresh token is kept: in a cookie that no script reads, or by whoever asked, who is no browser."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name and a password, and where the refresh token is to be."""

    username: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(max_length=256)]
    refresh: RefreshCarrier = "cookie"

    def __repr__(self) -> str:
        """Without the password."""
        return f"Credentials(username={self.username!r})"


class RefreshToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refresh token, of whoever was given it in a body; without one, the cookie's is meant."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=100)] | None = None

    def __repr__(self) -> str:
        """Without the token."""
        return "RefreshToken()"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token, how many seconds it is good for, and what it allows.

    ``refresh_token`` only where it was asked for in the body; each is good once.
    """

    access_token: str
    token_type: str
    expires_in: int
    role: Role
    session_id: str
    refresh_token: str | None = None


class SessionListed(msgspec.Struct, frozen=True, kw_only=True):
    """A session: what it was begun by, and how long it lasts if it is refreshed."""

    session_id: str
    device: str
    begun_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    current: bool = False


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that are not over, the newest first."""

    items: list[SessionListed]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The account that a token is of, and what the token allows: all of the role, or less by its scopes."""

    user_id: str
    username: str
    role: Role
    session_id: str | None = None
    token_id: str | None = None
    scopes: tuple[Scope, ...] | None = None


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password in force, and the one to come."""

    old_password: Annotated[str, msgspec.Meta(max_length=256)]
    new_password: Annotated[str, msgspec.Meta(max_length=256)]

    def __repr__(self) -> str:
        """Without either."""
        return "PasswordChange()"


async def sign_in(call: Call[Nothing, Credentials]) -> Response:
    """Exchange a name and password for an access token."""
    services, body, host = call.services, call.body, host_of(call.request)
    try:
        claim = await services.sign_in_limit.sign_in(body.username, host)
    except TooMany:
        services.security.refused("sign_in_throttled", host)
        raise
    try:
        credential = await services.accounts.prove(body.username, body.password)
    except SignInRefused:
        if await services.accounts.named(body.username) is None:
            services.security.refused("unknown_name", host)
        raise
    await services.sign_in_limit.signed_in(claim, credential.user_id)

    async def begin(_: UUID | None) -> Response:
        device = call.request.headers.get("user-agent", "")
        return _opened(call, await services.sessions.begin(credential, device=device), body.refresh, 201)

    return await once_sealed(call.request, services, begin, user_id=credential.user_id, content=body, guessable=True)


async def refresh_session(call: Call[Nothing, RefreshToken]) -> Response:
    """Exchange a refresh token for the next one and an access token.

    A repeat is an exchange like any other, so that no key hides a stolen token; under one, its answer is the first's.
    """
    given = call.body.refresh_token
    carrier: RefreshCarrier = "cookie" if given is None else "body"
    try:
        token = given or refresh_cookie.read(call.request)
    except refresh_cookie.CrossSite:
        call.services.security.refused("cross_site_refresh", host_of(call.request))
        raise
    try:
        opened = await _refreshed(call, token)
    except RefreshRefused as refused:
        await _caught_up(call)
        response = await answer_error(call.request, refused)
        if given is None:
            refresh_cookie.clear(response)
        return response

    async def show(_: UUID | None) -> Response:
        return _opened(call, opened, carrier, 200)

    return await once_sealed(
        call.request, call.services, show, user_id=opened.user_id, content=f"{carrier} {token}", guessable=False
    )


async def list_sessions(call: Call[Nothing, Nothing]) -> Response:
    """One's own."""
    user = call.signed_in
    sessions = await call.services.sessions.of(user.user_id)
    return answer(SessionList(items=[listed(session, current=user.session) for session in sessions]))


async def sign_out(call: Call[Nothing, Nothing]) -> Response:
    """End the session that the access token is of."""
    user = call.signed_in
    if not user.session:
        raise Problem(409, "this token is of no session")
    await call.services.sessions.sign_out(user.user_id, user.session, by=call.actor)
    return await ended(call, cookie=True)


async def end_session(call: Call[Nothing, Nothing]) -> Response:
    """End one of one's own."""
    user, session_id = call.signed_in, str(call.request.path_params["session_id"])
    if not await call.services.sessions.end(user.user_id, session_id, by=call.actor):
        raise Problem(404, "you have no such session")
    return await ended(call, cookie=session_id == user.session)


async def end_sessions(call: Call[Nothing, Nothing]) -> Response:
    """End all of one's own."""
    await call.services.sessions.end_all(call.signed_in.user_id, by=call.actor)
    return await ended(call, cookie=True)


async def show_me(call: Call[Nothing, Nothing]) -> Response:
    """The account that made the request."""
    user = call.signed_in
    account = await call.services.accounts.find(user.user_id)
    if account is None:
        raise Problem(401, "the account is gone")
    scopes = None if user.scopes is None else tuple(sorted(user.scopes))
    me = Me(
        user_id=account.user_id,
        username=account.username,
        role=account.role if scopes is None else user.role,
        session_id=user.session or None,
        token_id=user.token_id or None,
        scopes=scopes,
    )
    return answer(me)


async def change_password(call: Call[Nothing, PasswordChange]) -> Response:
    """Set one's own, given the one in force; every session ends, this one too."""
    user, limit = call.signed_in, call.services.sign_in_limit
    claim = await limit.old_password(user.user_id, host_of(call.request))

    async def change(_: UUID | None) -> Response:
        old, new = call.body.old_password, call.body.new_password
        try:
            await call.services.accounts.change_own_password(user.user_id, old, new, by=call.actor)
        except SignInRefused as refused:
            raise Problem(403, "the old password is wrong") from refused
        return await ended(call, cookie=True)

    response = await once_sealed(
        call.request, call.services, change, user_id=user.user_id, content=call.body, guessable=True
    )
    if response.status_code == HTTPStatus.NO_CONTENT:
        await limit.give_back(claim)
    return response


def host_of(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client else ""


def listed(session: StoredSession, *, current: str = "") -> SessionListed:
    """The session as it is shown."""
    return SessionListed(
        session_id=session.session_id,
        device=session.device,
        begun_at=session.begun_at,
        refreshed_at=session.rotated_at,
        expires_at=session.expires_at,
        current=session.session_id == current,
    )


async def _refreshed(call: Call[Nothing, RefreshToken], token: str) -> Opened:
    services, host = call.services, host_of(call.request)
    try:
        claim = await services.sign_in_limit.refresh(host)
        session = await services.sessions.of_token(token)
        await services.sign_in_limit.refreshed(claim, session.session_id)
    except TooMany:
        services.security.refused("refresh_throttled", host)
        raise
    except RefreshRefused:
        services.security.refused("refresh_unknown", host)
        raise
    return await services.sessions.refresh(session, token)


async def ended(call: Call[Nothing, BodyT], *, cookie: bool = False) -> Response:
    """Nothing to say, once this process refuses what was called back."""
    await _caught_up(call)
    response = Response(status_code=204)
    if cookie:
        refresh_cookie.clear(response)
    return response


async def _caught_up(call: Call[Nothing, BodyT]) -> None:
    """Refuse here from now on what was called back."""
    # It is recorded, and every process hears of it as soon as it can; that must not make the answer a failure.
    with suppress(LogUnavailable):
        await call.services.revocations.catch_up()


def _opened(call: Call[Nothing, BodyT], opened: Opened, carrier: RefreshCarrier, status: int) -> Response:
    who = SignedIn(opened.user_id, opened.role, opened.session_id, opened.version)
    session = Session(
        access_token=call.services.tokens.issue(who, at=datetime.now(UTC)),
        token_type="Bearer",  # noqa: S106
        expires_in=int(LIFETIME.total_seconds()),
        role=opened.role,
        session_id=opened.session_id,
        refresh_token=opened.refresh_token if carrier == "body" else None,
    )
    response = answer(session, status)
    if carrier == "cookie":
        refresh_cookie.put(response, opened.refresh_token, expires_at=opened.expires_at)
    return response


OPERATIONS: tuple[Operation, ...] = (
    operation(
        sign_in,
        name="sign_in",
        method="POST",
        path=PATH,
        least="anyone",
        of="self",
        summary="Sign in with a name and password.",
        query=Nothing,
        body=Credentials,
        answer=Session,
        status=201,
        problems=(429, 503),
        secret=True,
    ),
    operation(
        list_sessions,
        name="list_sessions",
        method="GET",
        path=PATH,
        least="viewer",
        of="self",
        summary="One's own sessions, the newest first.",
        query=Nothing,
        body=Nothing,
        answer=SessionList,
        problems=(404, 503),
    ),
    operation(
        end_sessions,
        name="end_sessions",
        method="DELETE",
        path=PATH,
        least="viewer",
        of="self",
        summary="Sign out everywhere: every session of one's own ends, this one too.",
        query=Nothing,
        body=Nothing,
        answer=Nothing,
        status=204,
        problems=(404, 503),
        session_only=True,
    ),
    operation(
        refresh_session,
        name="refresh_session",
        method="POST",
        path=f"{PATH}/refresh",
        least="anyone",
        of="self",
        summary="Exchange a refresh token for the next one and an access token; one that comes back "
        "after 30 seconds, or after the next one was used, ends the session, under whatever key.",
        query=Nothing,
        body=RefreshToken,
        body_required=False,
        answer=Session,
        problems=(429, 503),
        secret=True,
    ),
    operation(
        sign_out,
        name="sign_out",
        method="DELETE",
        path=f"{PATH}/current",
        least="viewer",
        of="self",
        summary="Sign out: the session ends, and with it every token of it.",
        query=Nothing,
        body=Nothing,
        answer=Nothing,
        status=204,
        problems=(409, 503),
        session_only=True,
    ),
    operation(
        end_session,
        name="end_session",
        method="DELETE",
        path=f"{PATH}/{{session_id}}",
        least="viewer",
        of="self",
        summary="End one of one's own sessions.",
        query=Nothing,
        body=Nothing,
        answer=Nothing,
        status=204,
        problems=(404, 503),
        session_only=True,
    ),
    operation(
        show_me,
        name="show_me",
        method="GET",
        path=f"{PREFIX}/me",
        least="viewer",
        of="self",
        summary="Who the token is of, and what it allows.",
        query=Nothing,
        body=Nothing,
        answer=Me,
        problems=(503,),
    ),
    operation(
        change_password,
        name="change_password",
        method="POST",
        path=f"{PREFIX}/me/password",
        least="viewer",
        of="self",
        summary="Set one's own password, given the one in force; all sessions and API tokens end.",
        query=Nothing,
        body=PasswordChange,
        answer=Nothing,
        status=204,
        problems=(404, 429, 503),
        session_only=True,
        secret=True,
    ),
)
