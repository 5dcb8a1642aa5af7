"""Serves the dashboard: a closed list of files at ``/`` and ``/page/...``, to anyone, before the gate."""

import asyncio

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from oxbot.api.page_files import PageFile, chart_library, page_files

PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types oxbot",
    ]
)
"""Only our own files run or style anything; text can become neither markup nor script, whoever wrote it."""


class Dashboard:
    """Answers GET and HEAD of the page's own paths; everything else goes on to the API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a file, or pass the request on."""
        file = await _found(scope)
        if file is None:
            await self._app(scope, receive, send)
            return
        await _answer(file, Headers(scope=scope))(scope, receive, send)


async def _found(scope: Scope) -> PageFile | None:
    if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
        return None
    charts = chart_library()
    if scope["path"] == charts.path:
        return await asyncio.to_thread(charts.file)
    return page_files().get(scope["path"])


def _answer(file: PageFile, asked: Headers) -> Response:
    headers = {
        "cache-control": file.cache_control,
        "content-security-policy": PAGE_POLICY,
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "etag": file.etag,
        "vary": "accept-encoding",
    }
    if file.etag in {f"W/{tag.strip().removeprefix('W/')}" for tag in asked.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=headers)
    body = file.body
    if "gzip" in {coding.split(";")[0].strip() for coding in asked.get("accept-encoding", "").split(",")}:
        body, headers["content-encoding"] = file.packed, "gzip"
    return Response(body, headers=headers, media_type=file.media_type)
