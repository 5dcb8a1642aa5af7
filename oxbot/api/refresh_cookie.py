"""The cookie that a browser keeps a refresh token in: no script reads it, no other site has it sent."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from oxbot.api.problems import Problem

NAME = "__Host-oxbot-refresh"
HEADER = "X-Oxbot-Refresh"


class CrossSite(Problem):
    """A refresh by cookie that our own page did not ask for."""

    def __init__(self) -> None:
        super().__init__(403, f"a refresh by cookie comes from the page itself and has the header {HEADER}: 1")


def read(request: Request) -> str:
    """The refresh token that the browser sent. Raises ``CrossSite``, or ``Problem`` 401 if there is none.

    Three things must fail at once before another site uses it: the browser keeps cookies of ``SameSite=Strict`` from
    it, a header of one's own needs the consent of this server, which gives none, and the browser says who asks.
    """
    if not _by_our_page(request):
        raise CrossSite
    token = request.cookies.get(NAME)
    if not token:
        raise Problem(401, "there is no session to refresh; sign in")
    return token


def put(response: Response, token: str, *, expires_at: datetime) -> None:
    """Have the browser keep the token until then."""
    seconds = max(0, int((expires_at - datetime.now(UTC)).total_seconds()))
    response.set_cookie(NAME, token, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")


def clear(response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(NAME, path="/", secure=True, httponly=True, samesite="strict")


def _by_our_page(request: Request) -> bool:
    headers = request.headers
    if headers.getlist(HEADER) != ["1"] or headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origins = headers.getlist("origin")
    return not origins or [urlsplit(origin).netloc for origin in origins] == [headers.get("host")]
