"""A server on loopback that speaks the protocol of OpenAI's chat completions and misbehaves as it is told to."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NamedTuple, get_args

Wire = Literal[
    "ok", "rate_limited", "rate_limited_date", "server_error", "unavailable", "bad_gateway", "overloaded", "no_key",
    "forbidden", "no_such_model", "bad_request", "context_exceeded", "content_filtered", "hang", "trickle",
    "dropped", "dropped_in_body", "empty_choices", "null_content", "length", "no_usage", "broken_json", "html",
    "redirect", "huge", "wrong_types", "gateway_timeout", "echoes_key", "answers_key",
]  # fmt: skip
"""What the server does to one request."""

REDIRECTED_TO = "http://127.0.0.1:9/v1/chat/completions"
TRICKLE_SECONDS = 0.2
HUGE_BYTES = 6_000_000
USAGE = {"prompt_tokens": 1200, "completion_tokens": 80, "total_tokens": 1280, "prompt_tokens_details": {"cached_tokens": 200}}  # fmt: skip # noqa: E501

_REFUSED: Mapping[str, tuple[int, str, str]] = {
    "server_error": (500, "server_error", "it broke"),
    "unavailable": (503, "server_error", "come back later"),
    "bad_gateway": (502, "server_error", "nobody behind me"),
    "overloaded": (529, "overloaded_error", "too many are here"),
    "gateway_timeout": (504, "server_error", "nobody behind me answered in time"),
    "no_key": (401, "invalid_api_key", "that key is not one of ours"),
    "forbidden": (403, "permission_denied", "not from there"),
    "no_such_model": (404, "model_not_found", "there is no such model"),
    "bad_request": (400, "invalid_request_error", "what is temperature?"),
    "context_exceeded": (
        400,
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    ),
    "content_filtered": (400, "content_policy_violation", "Your request was rejected by our safety system"),
}


class Attempt(NamedTuple):
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    fault: str


Answer = Callable[[Mapping[str, Any]], str | None]
"""What the model says to a request with that body: what its "content" is."""


class ModelsServer:
    """Replies to each request with the next step of its script, then with ``default``.

    A request whose model's name is a step's or an answer's name gets that one, whatever the script says.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None, *, default: str = "ok") -> None:
        self.answers: dict[str, Answer] = {"ok": lambda _: '{"said": "nothing"}', **(answers or {})}
        self.default = default
        self.attempts: list[Attempt] = []
        self.script: deque[str] = deque()
        self.retry_after = "7"
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def then(self, *steps: str) -> None:
        """What happens to the next requests, in this order."""
        self.script.extend(steps)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; whether the connection is still good for another one."""
        line = await reader.readline()
        if not line:
            return False
        headers = {}
        while (header := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.decode().partition(":")
            headers[name.strip().lower()] = value.strip()
        body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
        named = body.get("model", "")
        step = named if named in get_args(Wire) or named in self.answers else None
        if step is None:
            step = self.script.popleft() if self.script else self.default
        self.attempts.append(Attempt(line.decode().split(" ")[1], headers, body, step))
        return await self._reply(step, body, headers, writer)

    async def _reply(
        self, step: str, body: Mapping[str, Any], headers: Mapping[str, str], writer: asyncio.StreamWriter
    ) -> bool:
        if step in _REFUSED:
            status, code, words = _REFUSED[step]
            await _send(writer, status, {"error": {"message": words, "type": code, "code": code}})
            return True
        if step.startswith("rate_limited"):
            after = self.retry_after if step == "rate_limited" else "Wed, 21 Oct 2037 07:28:00 GMT"
            error = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
            await _send(writer, 429, error, [("Retry-After", after)])
            return True
        if step in {"hang", "dropped", "trickle", "dropped_in_body"}:
            await _break(step, writer)
            return False
        if step == "redirect":
            await _send(writer, 307, {}, [("Location", REDIRECTED_TO)])
            return True
        if step == "echoes_key":
            key = headers.get("authorization", "").removeprefix("Bearer ")
            words = f"Incorrect API key provided: {key} (as {headers.get('authorization')})"
            await _send(writer, 401, {"error": {"message": words, "type": key, "code": "invalid_api_key"}})
            return True
        if step in {"broken_json", "html"}:
            page = b'{"choices": [' if step == "broken_json" else b"<html><body>Sign in to the Wi-Fi</body></html>"
            await _send_bytes(writer, 200, page, [("Content-Type", "application/json" if step == "broken_json" else "text/html")])  # fmt: skip # noqa: E501
            return True
        answer = self._completion(step, body)
        if step == "answers_key":
            answer = _with_key(answer, headers.get("authorization", "").removeprefix("Bearer "))
        await _send(writer, 200, answer)
        return True

    def _completion(self, step: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        content: str | None = self.answers[step if step in self.answers else self.default](body)
        finish = "stop"
        if step == "null_content":
            content = None
        if step == "length":
            content, finish = str(content)[: len(str(content)) // 2], "length"
        if step == "huge":
            content = "x" * HUGE_BYTES
        choices: object = [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": finish,
                "logprobs": None,
            }
        ]
        if step == "empty_choices":
            choices = []
        if step == "wrong_types":
            choices = {"message": 7}
        answer = {
            "id": f"chatcmpl-{len(self.attempts)}",
            "object": "chat.completion",
            "created": 1,
            "model": f"{body.get('model')}-2026-01-01",
            "choices": choices,
            "usage": USAGE,
        }
        return {name: value for name, value in answer.items() if not (step == "no_usage" and name == "usage")}


@asynccontextmanager
async def models_server(
    answers: Mapping[str, Answer] | None = None, *, default: str = "ok", script: Iterable[str] = ()
) -> AsyncIterator[ModelsServer]:
    """The server, listening on a port of its own, until the block ends."""
    models = ModelsServer(answers, default=default)
    models.then(*script)
    tasks: set[asyncio.Task[None]] = set()

    def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(models.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    models.port = server.sockets[0].getsockname()[1]
    try:
        yield models
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _with_key(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A good answer in each word of which the key is, whole or in part."""
    content = f"you are {key}; {key[:-3].upper()}; {' '.join(key[5:])}; {key.replace('-', '_')}"
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": key}
    return {**answer, "id": f"id-{key[4:]}", "model": f"model {key}", "choices": [choice]}


async def _break(step: str, writer: asyncio.StreamWriter) -> None:
    if step == "dropped":
        writer.transport.abort()
        return
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{")
    await writer.drain()
    if step == "dropped_in_body":
        writer.transport.abort()
        return
    if step == "hang":
        await asyncio.Event().wait()
    while True:
        await asyncio.sleep(TRICKLE_SECONDS)
        writer.write(b" ")
        await writer.drain()


async def _send(
    writer: asyncio.StreamWriter, status: int, body: Mapping[str, Any], headers: Iterable[tuple[str, str]] = ()
) -> None:
    await _send_bytes(writer, status, json.dumps(body).encode(), [("Content-Type", "application/json"), *headers])


async def _send_bytes(
    writer: asyncio.StreamWriter, status: int, body: bytes, headers: Iterable[tuple[str, str]]
) -> None:
    lines = [
        f"HTTP/1.1 {status} said",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()
