"""The API as an ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from events.errors import OxbotError
from oxbot.api.gate import Gate
from oxbot.api.headers import RequestEnvelope
from oxbot.api.openapi import describe
from oxbot.api.problems import answer_bug, answer_error
from oxbot.api.routes import OPERATIONS, open_to_anyone, routes
from oxbot.api.services import Services

OpenServices = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(open_services: OpenServices) -> Starlette:
    """The application; what it needs is opened when it starts and closed when it ends.

    The middleware, from outside in: the request's id and headers, the gate that refuses strangers, the errors.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            yield

    app = Starlette(
        routes=routes(),
        middleware=[Middleware(RequestEnvelope), Middleware(Gate, open_to_anyone=open_to_anyone())],
        exception_handlers={OxbotError: answer_error, HTTPException: answer_error, Exception: answer_bug},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.openapi = describe(OPERATIONS)
    return app
