"""API tokens of one's own: issued, listed by name and last use, revoked."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from starlette.responses import Response

from events.user import Scope
from events.values import Timestamp
from oxbot.api.bodies import Nothing, answer
from oxbot.api.idempotency import once_sealed
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.sessions import ended
from oxbot.app.api_tokens import NAME_LENGTH_MAX, ApiToken

PATH = f"{PREFIX}/tokens"


class NewApiToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to be issued; each scope goes no further than the account's role at the time of use.

    ``trade`` and ``admin`` may also do what is below them. ``expires_at`` is a year ahead at most.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH_MAX)]
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=8)]
    expires_at: Timestamp


class ApiTokenIssued(msgspec.Struct, frozen=True, kw_only=True):
    """A token for scripts, shown this once and sent as a bearer token."""

    token: str
    token_id: str
    name: str
    scopes: tuple[Scope, ...]
    expires_at: datetime


class ApiTokenListed(msgspec.Struct, frozen=True, kw_only=True):
    """A token that is not revoked; ``last_used_at`` is exact to a minute."""

    token_id: str
    name: str
    scopes: tuple[Scope, ...]
    issued_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class ApiTokenList(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that are not revoked, the newest first."""

    items: list[ApiTokenListed]


async def issue_api_token(call: Call[Nothing, NewApiToken]) -> Response:
    """Make a token."""
    wanted, user_id = call.body, call.signed_in.user_id

    async def issue(deed: UUID | None) -> Response:
        stored, text = await call.services.api_tokens.issue(
            user_id, wanted.name, wanted.scopes, expires_at=wanted.expires_at, by=call.actor, deed=deed
        )
        issued = ApiTokenIssued(
            token=text,
            token_id=stored.token_id,
            name=stored.name,
            scopes=tuple(sorted(set(wanted.scopes))),
            expires_at=stored.expires_at,
        )
        return answer(issued, 201, {"Location": f"{PATH}/{stored.token_id}"})

    return await once_sealed(call.request, call.services, issue, user_id=user_id, content=wanted, guessable=False)


async def list_api_tokens(call: Call[Nothing, Nothing]) -> Response:
    """One's own."""
    return answer(listed(await call.services.api_tokens.of(call.signed_in.user_id)))


async def revoke_api_token(call: Call[Nothing, Nothing]) -> Response:
    """Make one of one's own good for nothing."""
    token_id = str(call.request.path_params["token_id"])
    await call.services.api_tokens.revoke(call.signed_in.user_id, token_id, by=call.actor)
    return await ended(call)


def listed(tokens: list[ApiToken]) -> ApiTokenList:
    """The tokens as they are shown."""
    return ApiTokenList(
        items=[
            ApiTokenListed(
                token_id=stored.token_id,
                name=stored.name,
                scopes=scopes,
                issued_at=stored.issued_at,
                expires_at=stored.expires_at,
                last_used_at=stored.last_used_at,
            )
            for stored, scopes in tokens
        ]
    )


OPERATIONS: tuple[Operation, ...] = (
    operation(
        list_api_tokens,
        name="list_api_tokens",
        method="GET",
        path=PATH,
        least="viewer",
        of="self",
        summary="One's own API tokens, by name and last use.",
        query=Nothing,
        body=Nothing,
        answer=ApiTokenList,
        problems=(404, 503),
    ),
    operation(
        issue_api_token,
        name="issue_api_token",
        method="POST",
        path=PATH,
        least="viewer",
        of="self",
        summary="Issue an API token for scripts; it is shown this once.",
        query=Nothing,
        body=NewApiToken,
        answer=ApiTokenIssued,
        status=201,
        problems=(404, 409, 503),
        session_only=True,
        secret=True,
    ),
    operation(
        revoke_api_token,
        name="revoke_api_token",
        method="DELETE",
        path=f"{PATH}/{{token_id}}",
        least="viewer",
        of="self",
        summary="Revoke one of one's own API tokens.",
        query=Nothing,
        body=Nothing,
        answer=Nothing,
        status=204,
        problems=(404, 503),
        session_only=True,
    ),
)
