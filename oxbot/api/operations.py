"""What an operation of the API is: its route, its rule, its types, and what it does, all in one place."""

import re
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from events.identifiers import AccountName, BotId
from oxbot.api.bodies import Nothing, check_length, read_body, read_query
from oxbot.api.problems import Problem
from oxbot.api.services import Services
from oxbot.api.tokens import SignedIn
from oxbot.app.bots import UnknownBot

Access = Literal["anyone", "viewer", "trader", "admin"]
Method = Literal["GET", "POST", "PUT"]
QueryT = TypeVar("QueryT", bound=msgspec.Struct)
BodyT = TypeVar("BodyT", bound=msgspec.Struct)

PREFIX = "/api/v1"

_RANKS: dict[Access, int] = {"anyone": 0, "viewer": 1, "trader": 2, "admin": 3}
_BOT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Call(NamedTuple, Generic[QueryT, BodyT]):
    """A request whose query and body are read and whose maker may make it."""

    request: Request
    services: Services
    query: QueryT
    body: BodyT

    @property
    def user(self) -> SignedIn | None:
        """Who makes it; None only in operations that are for anyone."""
        user: SignedIn | None = self.request.state.user
        return user

    @property
    def actor(self) -> str:
        """On whose behalf facts are appended."""
        return "api" if self.user is None else f"user-{self.user.user_id}"

    @property
    def bot_id(self) -> BotId:
        """The bot that the path names. Raises ``UnknownBot`` for what is no bot's id."""
        bot_id: str = self.request.path_params["bot_id"]
        if _BOT_ID.fullmatch(bot_id) is None:
            raise UnknownBot("there is no such bot")
        return BotId(bot_id)

    @property
    def account(self) -> AccountName:
        """The account that the path names."""
        account: str = self.request.path_params["account"]
        return AccountName(account)


class Operation(NamedTuple):
    """One method of one path; ``least`` is the lowest role that may use it, ``answer`` a type that msgspec knows."""

    name: str
    method: Method
    path: str
    least: Access
    summary: str
    query: type[msgspec.Struct]
    body: type[msgspec.Struct]
    body_required: bool
    answer: object
    media_type: str
    status: int
    problems: tuple[int, ...]
    run: Callable[[Request], Awaitable[Response]]


def operation(
    handler: Callable[[Call[QueryT, BodyT]], Awaitable[Response]],
    *,
    name: str,
    method: Method,
    path: str,
    least: Access,
    summary: str,
    query: type[QueryT],
    body: type[BodyT],
    body_required: bool = True,
    answer: object,
    media_type: str = "application/json",
    status: int = 200,
    problems: tuple[int, ...] = (),
) -> Operation:
    """The operation that reads the query and body as these types and hands them to ``handler``."""

    async def run(request: Request) -> Response:
        _authorise(request, least)
        check_length(request)
        services: Services = request.app.state.services
        given_query = read_query(request, query)
        required = body_required and body is not Nothing
        given = await read_body(request, body, required=required) if body is not Nothing else body()
        return await handler(Call(request, services, given_query, given))

    return Operation(
        name, method, path, least, summary, query, body, body_required, answer, media_type, status, problems, run
    )


def _authorise(request: Request, least: Access) -> None:
    user: SignedIn | None = request.state.user
    if least == "anyone":
        return
    if user is None:
        raise Problem(401, "sign in first")
    if _RANKS[user.role] < _RANKS[least]:
        raise Problem(403, f"this needs the role {least}; yours is {user.role}")
