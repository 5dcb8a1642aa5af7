"""Paths that mean one thing to everybody who reads them, and no others."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from oxbot.api.problems import Problem, problem_response

TARGET_BYTES_MAX = 8192

_AMBIGUOUS = re.compile(rb"//|\\|;|%(?:2[fF]|5[cC]|2[eE]|00)|(?:^|/)\.{1,2}(?:/|$)")


class Paths:
    """Refuses a path that a proxy, a log and this program might each take for another one.

    Such are two slashes in a row, dot segments, backslashes, parameters of segments, a NUL, and slashes and dots that
    are percent-encoded. Nothing that is served has such a path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it with 404 or 414."""
        problem = _fault(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(scope, problem)(scope, receive, send)


def _fault(scope: Scope) -> Problem | None:
    path = scope.get("raw_path") or scope["path"].encode()
    if len(path) + len(scope["query_string"]) > TARGET_BYTES_MAX:
        return Problem(414, f"path and query have at most {TARGET_BYTES_MAX} bytes together")
    if _AMBIGUOUS.search(path):
        return Problem(404, "there is nothing at this path, which can be read in more than one way")
    return None
