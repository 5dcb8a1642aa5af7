"""What an operation of the API is: its route, its rule, its types, and what it does, all in one place."""

import re
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from events.identifiers import HOUSE, AccountName, BotId, OwnerId
from events.user import Scope
from oxbot.api.bodies import Nothing, check_length, read_body, read_query
from oxbot.api.conditional import for_version, refuse_version, unless_known
from oxbot.api.idempotency import once
from oxbot.api.problems import Problem
from oxbot.api.services import Services
from oxbot.api.tokens import SignedIn
from oxbot.app.access import may_command
from oxbot.app.bots import UnknownBot

Access = Literal["anyone", "viewer", "trader", "admin"]
Of = Literal["installation", "bots", "bot", "account", "user", "self"]
"""What an operation is of, which says whose it is and so who may use it, beside the role that it needs at least.

installation: what is nobody's in particular. bots: those that the caller may read, and new ones. bot: the one that the
path names. account, user: accounts at venues and users, which are administrators' business. self: the caller.
"""
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
QueryT = TypeVar("QueryT", bound=msgspec.Struct)
BodyT = TypeVar("BodyT", bound=msgspec.Struct)

PREFIX = "/api/v1"

_RANKS: dict[Access, int] = {"anyone": 0, "viewer": 1, "trader": 2, "admin": 3}
_BOT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_IN_PATH = re.compile(r"{(\w+)(?::\w+)?}")
_NAMES: dict[str, Of] = {
    "bot_id": "bot",
    "decision_id": "bot",
    "advice_id": "bot",
    "venue": "installation",
    "account": "account",
    "user_id": "user",
    "user_session": "user",
    "user_token": "user",
    "session_id": "self",
    "token_id": "self",
    "strategy": "installation",
    "model": "installation",
    "position": "installation",
    "stream": "installation",
}
"""What an operation is of whose path names one of these; a name that stands nowhere here has no rule yet."""


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
    def signed_in(self) -> SignedIn:
        """Who makes it, in an operation that is not for anyone."""
        user = self.user
        if user is None:
            raise Problem(401, "sign in first")
        return user

    @property
    def actor(self) -> str:
        """On whose behalf facts are appended."""
        return "api" if self.user is None else f"user-{self.user.user_id}"

    @property
    def bot_id(self) -> BotId:
        """The bot that the path names, in an operation that is of one: the caller may read it, or command it."""
        bot_id: BotId = self.request.state.bot_id
        return bot_id

    @property
    def owner(self) -> OwnerId:
        """Whose that bot is."""
        owner: OwnerId = self.request.state.bot_owner
        return owner

    @property
    def account(self) -> AccountName:
        """The account that the path names."""
        account: str = self.request.path_params["account"]
        return AccountName(account)


class Operation(NamedTuple):
    """One method of one path; ``least`` is the lowest role that may use it, and ``of`` what it is of, which says more.

    ``answer`` is a type that msgspec knows. ``session_only``: no API token may use it. ``scope``: an API token of that
    scope may, whatever its role. ``secret``: nothing of the request or its answer may be kept in the clear.
    """

    name: str
    method: Method
    path: str
    least: Access
    of: Of
    summary: str
    query: type[msgspec.Struct]
    body: type[msgspec.Struct]
    body_required: bool
    answer: object
    media_type: str
    status: int
    problems: tuple[int, ...]
    secret: bool
    run: Callable[[Request], Awaitable[Response]]
    session_only: bool = False
    scope: Scope | None = None


def operation(
    handler: Callable[[Call[QueryT, BodyT]], Awaitable[Response]],
    *,
    name: str,
    method: Method,
    path: str,
    least: Access,
    of: Of,
    summary: str,
    query: type[QueryT],
    body: type[BodyT],
    body_required: bool = True,
    answer: object,
    media_type: str = "application/json",
    status: int = 200,
    problems: tuple[int, ...] = (),
    secret: bool = False,
    session_only: bool = False,
    scope: Scope | None = None,
) -> Operation:
    """The operation that reads the query and body as these types and hands them to ``handler``.

    Before it is called, and before anything else is looked at, the rule of what it is ``of`` has been held to.
    ``secret`` says that content or answer hold what is kept nowhere in the clear, such as a password or a token; there
    a handler answers to an ``Idempotency-Key`` by ``once_sealed``. Raises ``ValueError`` for a path and a rule that do
    not go together.
    """
    _check_rule(path, of, least)

    async def run(request: Request) -> Response:
        authorise(request.state.user, least, session_only=session_only, scope=scope)
        services: Services = request.app.state.services
        if method != "GET" and least != "anyone":
            await _still_signed_in(request, services)
        if of == "bot":
            await _reach_bot(request, services, reads=method == "GET")
        check_length(request)
        given_query = read_query(request, query)
        required = body_required and body is not Nothing
        given = await read_body(request, body, required=required) if body is not Nothing else body()

        async def do(services: Services) -> Response:
            if of == "bot" and method != "GET":
                services = for_version(request, services, request.state.bot_id)
            return await handler(Call(request, services, given_query, given))

        if method == "GET":
            return unless_known(request, await do(services))
        if of != "bot":
            refuse_version(request)
        return await (once(request, services, do) if method == "POST" and not secret else do(services))

    return Operation(
        name, method, path, least, of, summary, query, body, body_required, answer, media_type, status, problems,
        secret, run, session_only, scope,
    )  # fmt: skip


def authorise(user: SignedIn | None, least: Access, *, session_only: bool = False, scope: Scope | None = None) -> None:
    """``Problem`` 401 or 403 unless the user has that role at least, or an API token of that scope."""
    if least == "anyone":
        return
    if user is None:
        raise Problem(401, "sign in first")
    if user.scopes is not None:
        if session_only:
            raise Problem(403, "this needs somebody who has signed in; an API token is not enough")
        if scope is not None and scope in user.scopes:
            return
        if not user.scopes & {"read", "trade", "admin"}:
            raise Problem(403, "the scopes of this API token do not go as far")
    if _RANKS[user.role] < _RANKS[least]:
        raise Problem(403, f"this needs the role {least}; yours is {user.role}")


async def _still_signed_in(request: Request, services: Services) -> None:
    """What any process has called back before now gives no command. Raises ``LogUnavailable`` if that is not known."""
    user: SignedIn = request.state.user
    await services.revocations.catch_up()
    if not services.revocations.allows(user.user_id, user.version, user.means):
        raise Problem(401, "the session is over; sign in again")


async def _reach_bot(request: Request, services: Services, *, reads: bool) -> None:
    """Put the bot that the path names at hand. What may not be read is not there, to the letter; 403 for the rest."""
    named: str = request.path_params["bot_id"]
    user: SignedIn = request.state.user
    owner = None
    if _BOT_ID.fullmatch(named) is not None:
        owner = await services.owners.readable(user, BotId(named))
    if owner is None:
        raise UnknownBot("there is no such bot")
    if not reads and not may_command(user, owner):
        raise Problem(403, f"only {'an administrator' if owner == HOUSE else 'its owner'} commands this bot")
    request.state.bot_id, request.state.bot_owner = BotId(named), owner


def _check_rule(path: str, of: Of, least: Access) -> None:
    names = _IN_PATH.findall(path)
    if any(_NAMES.get(name) != of for name in names) or (of == "bot") != ("bot_id" in names):
        raise ValueError(f"{path} names what no operation of {of} may name, or not what it must")
    if least == "anyone" and of not in ("installation", "self"):
        raise ValueError(f"{path} is of {of}, which is nobody's who is not signed in")
    if least != "admin" and of in ("account", "user"):
        raise ValueError(f"{path} is of {of}, which is for administrators")
