"""How long a request may take."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oxbot.api.problems import Problem, problem_response


class Deadline:
    """Gives up a request whose answer has not begun in time; what has begun, such as a stream, may go on.

    What was given up may have been done all the same, so whoever repeats it should do so under an `Idempotency-Key`.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds) as limit:

                async def send_in_time(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        limit.reschedule(None)
                    await send(message)

                await self._app(scope, receive, send_in_time)
        except TimeoutError:
            if not limit.expired():
                raise
            problem = Problem(503, "this took too long; whether it was done is not known")
            await problem_response(scope, problem, kind="took-too-long")(scope, receive, send)
