"""The API as an ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from events.errors import OxbotError
from oxbot.api.cors import Cors
from oxbot.api.dashboard import Dashboard
from oxbot.api.deadline import Deadline
from oxbot.api.gate import Gate
from oxbot.api.headers import RequestEnvelope
from oxbot.api.meters import Metered, Meters
from oxbot.api.openapi import describe
from oxbot.api.options import ApiOptions
from oxbot.api.paths import Paths
from oxbot.api.problems import answer_bug, answer_error
from oxbot.api.rate_limit import AddressLimit, UserLimit
from oxbot.api.routes import OPERATIONS, open_to_anyone, routes
from oxbot.api.services import Services

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


DEFAULTS = ApiOptions()


def create_app(open_services: OpenServices, options: ApiOptions = DEFAULTS) -> Starlette:
    """The application; what it needs is opened when it starts and closed when it ends."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            yield

    meters = Meters()
    app = Starlette(
        routes=routes(),
        middleware=[Middleware(Metered, meters=meters), *middleware(options)],
        exception_handlers={OxbotError: answer_error, HTTPException: answer_error, Exception: answer_bug},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.openapi = _document()
    app.state.body_seconds = options.body_seconds
    app.state.meters = meters
    app.state.allowed_origins = frozenset(options.allowed_origins)
    return app


@cache
def _document() -> bytes:
    """The description of all operations, which are the same in every application of this process."""
    return describe(OPERATIONS)


def end_streams(app: Starlette) -> None:
    """Have every stream say that it ends, which is to come before whoever serves them waits for them to end."""
    services: Services = app.state.services
    services.stream.close()


def middleware(options: ApiOptions) -> list[Middleware]:
    """What each request passes, from outside in.

    Who it is really from; its id and the answer's headers; its time; other origins; how often its address may ask; what
    errors of the rest are over HTTP; the page; the gate that refuses strangers; how often its maker may ask; its path.
    """
    trusted = list(options.trusted_proxies)
    return [
        *([Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted)] if trusted else []),
        Middleware(RequestEnvelope),
        Middleware(Deadline, seconds=options.request_seconds),
        Middleware(Cors, allowed_origins=options.allowed_origins),
        Middleware(AddressLimit, per_second=options.address_requests_per_second),
        Middleware(ExceptionMiddleware, handlers={OxbotError: answer_error}),
        Middleware(Dashboard),
        Middleware(Gate, open_to_anyone=open_to_anyone()),
        Middleware(UserLimit, per_second=options.user_requests_per_second),
        Middleware(Paths),
    ]
