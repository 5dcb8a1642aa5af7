"""Accounts, for administrators: created, given a role, disabled and enabled, signed out, erased."""

import re
from typing import Annotated
from uuid import UUID

import msgspec
from starlette.responses import Response

from events.user import Role
from oxbot.api import api_tokens
from oxbot.api.api_tokens import ApiTokenList
from oxbot.api.bodies import Nothing, answer
from oxbot.api.idempotency import once_sealed
from oxbot.api.operations import PREFIX, BodyT, Call, Operation, operation
from oxbot.api.problems import Problem
from oxbot.api.sessions import SessionList, ended, listed
from oxbot.app.accounts import Credential, UnknownUser
from oxbot.core.account import UserId

PATH = f"{PREFIX}/users"
_ONE = f"{PATH}/{{user_id}}"

_USER_ID = re.compile(r"[a-z0-9-]{1,64}")

_Password = Annotated[str, msgspec.Meta(max_length=256)]


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account to be made."""

    username: Annotated[str, msgspec.Meta(max_length=64)]
    password: _Password
    role: Role

    def __repr__(self) -> str:
        """Without the password."""
        return f"NewUser(username={self.username!r}, role={self.role!r})"


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be another way; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password to come."""

    password: _Password

    def __repr__(self) -> str:
        """Without it."""
        return "NewPassword()"


class ErasureWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why somebody is erased; it stays in the log for ever, so it must name nobody."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    user_id: str
    username: str
    role: Role
    disabled: bool


class UserDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An account; ``failed_sign_ins`` counts those since the last success."""

    user_id: str
    username: str
    role: Role
    disabled: bool
    failed_sign_ins: int
    sessions: int
    api_tokens: int


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """Every account, in order of name."""

    items: list[User]


async def list_users(call: Call[Nothing, Nothing]) -> Response:
    """All of them."""
    return answer(UserList(items=[_user(found) for found in await call.services.accounts.all()]))


async def create_user(call: Call[Nothing, NewUser]) -> Response:
    """A new one."""
    wanted, admin = call.body, call.signed_in.user_id

    async def create(deed: UUID | None) -> Response:
        user_id = await call.services.accounts.create(
            wanted.username, wanted.password, wanted.role, by=call.actor, deed=deed
        )
        return await _details(call, user_id, 201)

    return await once_sealed(call.request, call.services, create, user_id=admin, content=wanted, guessable=True)


async def show_user(call: Call[Nothing, Nothing]) -> Response:
    """One."""
    return await _details(call, _named(call))


async def change_user(call: Call[Nothing, UserChange]) -> Response:
    """Another role, or disabled, or enabled."""
    wanted, user_id = call.body, _named(call)
    if wanted.role is not None or wanted.disabled is not None:
        await call.services.accounts.change_standing(user_id, role=wanted.role, disabled=wanted.disabled, by=call.actor)
        await ended(call)
    return await _details(call, user_id)


async def set_user_password(call: Call[Nothing, NewPassword]) -> Response:
    """Set somebody's."""
    await call.services.accounts.set_password(_named(call), call.body.password, by=call.actor)
    return await ended(call)


async def erase_user(call: Call[Nothing, ErasureWanted]) -> Response:
    """Disable the account, which the last administrator's cannot be, and erase its person."""
    user_id = _named(call)
    if not call.body.reason.strip():
        raise Problem(422, "body: say why at `$.reason`")
    if await call.services.accounts.find(user_id) is not None:
        await call.services.accounts.change_standing(user_id, disabled=True, by=call.actor)
    await call.services.privacy.erase_account(user_id, call.body.reason.strip())
    return await ended(call)


async def list_user_sessions(call: Call[Nothing, Nothing]) -> Response:
    """Somebody's."""
    sessions = await call.services.sessions.of(_named(call))
    return answer(SessionList(items=[listed(session) for session in sessions]))


async def end_user_sessions(call: Call[Nothing, Nothing]) -> Response:
    """End all of somebody's."""
    await call.services.sessions.end_all(_named(call), by=call.actor)
    return await ended(call)


async def end_user_session(call: Call[Nothing, Nothing]) -> Response:
    """End one of somebody's."""
    if not await call.services.sessions.end(_named(call), call.request.path_params["user_session"], by=call.actor):
        raise Problem(404, "the account has no such session")
    return await ended(call)


async def list_user_tokens(call: Call[Nothing, Nothing]) -> Response:
    """Somebody's API tokens."""
    return answer(api_tokens.listed(await call.services.api_tokens.of(_named(call))))


async def revoke_user_token(call: Call[Nothing, Nothing]) -> Response:
    """Make one of somebody's good for nothing."""
    await call.services.api_tokens.revoke(_named(call), call.request.path_params["user_token"], by=call.actor)
    return await ended(call)


def _named(call: Call[Nothing, BodyT]) -> UserId:
    """The account that the path names. Raises ``UnknownUser`` for what is no account's id."""
    user_id: str = call.request.path_params["user_id"]
    if _USER_ID.fullmatch(user_id) is None:
        raise UnknownUser("there is no such account")
    return UserId(user_id)


async def _details(call: Call[Nothing, BodyT], user_id: UserId, status: int = 200) -> Response:
    services = call.services
    account = await services.accounts.get(user_id)
    state = (await services.accounts.book.read(user_id)).state
    details = UserDetails(
        user_id=account.user_id,
        username=account.username,
        role=account.role,
        disabled=account.disabled,
        failed_sign_ins=state.failures,
        sessions=len(await services.sessions.of(user_id)),
        api_tokens=len(state.grants),
    )
    return answer(details, status, {"Location": f"{PATH}/{user_id}"} if status == 201 else None)  # noqa: PLR2004


def _user(account: Credential) -> User:
    return User(user_id=account.user_id, username=account.username, role=account.role, disabled=account.disabled)


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_users,
        name="list_users",
        method="GET",
        path=PATH,
        least="admin",
        of="user",
        summary="Every account, in order of name.",
        query=Nothing,
        body=Nothing,
        answer=UserList,
        problems=(503,),
    ),
    operation(
        create_user,
        name="create_user",
        method="POST",
        path=PATH,
        least="admin",
        of="user",
        summary="Create an account.",
        query=Nothing,
        body=NewUser,
        answer=UserDetails,
        status=201,
        problems=(409, 503),
        session_only=True,
        secret=True,
    ),
    operation(
        show_user,
        name="show_user",
        method="GET",
        path=_ONE,
        least="admin",
        of="user",
        summary="An account.",
        query=Nothing,
        body=Nothing,
        answer=UserDetails,
        problems=(503,),
    ),
    operation(
        change_user,
        name="change_user",
        method="PATCH",
        path=_ONE,
        least="admin",
        of="user",
        summary="Give an account another role, disable or enable it; its tokens follow at once.",
        query=Nothing,
        body=UserChange,
        answer=UserDetails,
        problems=(409, 503),
        session_only=True,
    ),
    operation(
        set_user_password,
        name="set_user_password",
        method="PUT",
        path=f"{_ONE}/password",
        least="admin",
        of="user",
        summary="Set an account's password; all its sessions and API tokens end.",
        query=Nothing,
        body=NewPassword,
        answer=Nothing,
        status=204,
        problems=(503,),
        session_only=True,
        secret=True,
    ),
    operation(
        erase_user,
        name="erase_user",
        method="POST",
        path=f"{_ONE}/erase",
        least="admin",
        of="user",
        summary="Erase the person of an account for good: credential, sessions, tokens, and the name in the log.",
        query=Nothing,
        body=ErasureWanted,
        answer=Nothing,
        status=204,
        problems=(409, 503),
        session_only=True,
    ),
    operation(
        list_user_sessions,
        name="list_user_sessions",
        method="GET",
        path=f"{_ONE}/sessions",
        least="admin",
        of="user",
        summary="An account's sessions, the newest first.",
        query=Nothing,
        body=Nothing,
        answer=SessionList,
        problems=(503,),
    ),
    operation(
        end_user_sessions,
        name="end_user_sessions",
        method="DELETE",
        path=f"{_ONE}/sessions",
        least="admin",
        of="user",
        summary="End all sessions of an account.",
        query=Nothing,
        body=Nothing,
        answer=Nothing,
        status=204,
        problems=(503,),
        session_only=True,
    ),
    operation(
        end_user_session,
        name="end_user_session",
        method="DELETE",
        path=f"{_ONE}/sessions/{{user_session}}",
        least="admin",
        of="user",
        summary="End one session of an account.",
        query=Nothing,
        body=Nothing,
        answer=Nothing,
        status=204,
        problems=(503,),
        session_only=True,
    ),
    operation(
        list_user_tokens,
        name="list_user_tokens",
        method="GET",
        path=f"{_ONE}/tokens",
        least="admin",
        of="user",
        summary="An account's API tokens, by name and last use.",
        query=Nothing,
        body=Nothing,
        answer=ApiTokenList,
        problems=(503,),
    ),
    operation(
        revoke_user_token,
        name="revoke_user_token",
        method="DELETE",
        path=f"{_ONE}/tokens/{{user_token}}",
        least="admin",
        of="user",
        summary="Revoke one of an account's API tokens.",
        query=Nothing,
        body=Nothing,
        answer=Nothing,
        status=204,
        problems=(503,),
        session_only=True,
    ),
)
