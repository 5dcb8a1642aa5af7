"""Calls models through litellm, which is used as a bare transport: one request per call, to one host, under a deadline.

The only module that imports litellm, and only when it is opened: it costs 190 MB and five seconds of a processor.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Protocol, cast
from urllib.parse import urlsplit

from events.advice import Usage
from events.errors import OxbotError
from events.identifiers import ModelName
from oxbot.adapters.litellm_failures import failure
from oxbot.adapters.redaction import without
from oxbot.app.clock import Clock
from oxbot.app.models.known import ModelTable, near
from oxbot.app.models.transport import CallFailed, Completion, ModelCall
from oxbot.config import Secret

SCHEMA_NAME = "answer"
NO_KEY = "none"
"""What is sent where there is no key: without one litellm would take any that it finds in the environment."""

TEXT_MAX = 262_144
"""Of an answer, so many characters are kept: four times what is ever read."""

NAME_MAX = 200
TOKENS_MAX = 10_000_000
"""No call has more; a provider that counts more is not believed."""

ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_OFFLINE_MODE": "true"}
"""Set before the import, which would else fetch a list of prices and read the nearest file named .env."""

_MOVING = ("_API_BASE", "_BASE_URL")
_LOOSENING = frozenset({"SSL_VERIFY", "DISABLE_AIOHTTP_TRANSPORT", "AIOHTTP_TRUST_ENV", "DISABLE_AIOHTTP_TRUST_ENV"})
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_HANDLERS = frozenset({"anthropic", "gemini"})
"""Providers that litellm speaks to by a client of its own kind, and not over the session that it is given."""


class ModelLibraryMissing(OxbotError):
    """Litellm is not installed; the operator must install the extra."""


class KeySource(Protocol):
    """Where keys are."""

    def key(self, name: ModelName) -> Secret | None:
        """The key of a model, None for one that has none. Raises an ``OxbotError`` for one that cannot be read."""
        ...


class _Permit:
    """Lets one request out, to one host."""

    def __init__(self, host: str | None) -> None:
        self.host = host
        self.used = False
        self.refused = ""

    def allows(self, host: str | None) -> bool:
        if self.used or (self.host is not None and host != self.host):
            self.refused = host or "?"
            return False
        self.used = True
        return True


_permit: ContextVar[_Permit | None] = ContextVar("permit", default=None)


class _Message(Protocol):
    content: object


class _Choice(Protocol):
    message: _Message
    finish_reason: object


class _Answer(Protocol):
    choices: Sequence[_Choice]
    model: object
    id: object
    usage: object


class _Session(Protocol):
    async def close(self) -> None: ...


class _Library(Protocol):
    suppress_debug_info: bool
    drop_params: bool
    turn_off_message_logging: bool
    telemetry: bool
    disable_hf_tokenizer_download: bool
    in_memory_llm_clients_cache: "_Cache"

    async def acompletion(self, **named: object) -> _Answer: ...


class _Cache(Protocol):
    def flush_cache(self) -> None: ...


@asynccontextmanager
async def open_litellm(table: ModelTable, keys: KeySource, *, clock: Clock) -> AsyncIterator["LitellmTransport"]:
    """The transport. Opening it speaks to nobody. Raises ``ModelLibraryMissing``."""
    guard_environment(os.environ, _near_hosts(table))
    library = await asyncio.to_thread(_load)
    session, handler = _guarded()
    # Clients that litellm keeps would go on with a session that an earlier transport has closed.
    library.in_memory_llm_clients_cache.flush_cache()
    try:
        yield LitellmTransport(library, keys, clock=clock, session=session, handler=handler)
    finally:
        library.in_memory_llm_clients_cache.flush_cache()
        await session.close()


class LitellmTransport:
    """A ``ModelTransport``."""

    def __init__(self, library: _Library, keys: KeySource, *, clock: Clock, session: _Session, handler: object) -> None:
        self._library = library
        self._keys = keys
        self._clock = clock
        self._session = session
        self._handler = handler

    async def complete(self, call: ModelCall) -> Completion:
        """Make exactly one request. Raises ``CallFailed``."""
        try:
            secret = self._keys.key(call.model)
        except OxbotError as error:
            raise CallFailed("refused", status=401, detail=str(error)) from None
        secrets = () if secret is None else (secret.reveal(),)
        permit = _Permit(None if call.base_url is None else urlsplit(call.base_url).hostname)
        kept = _permit.set(permit)
        try:
            async with asyncio.timeout(call.timeout_seconds):
                answer = await self._library.acompletion(**self._arguments(call, secret))
            return _completion(answer, secrets)
        except Exception as error:  # noqa: BLE001  # litellm raises what its parts raise; each is a failure of the call
            failed = failure(error, secrets=secrets, now=self._clock.now(), sent=permit.used)
        finally:
            _permit.reset(kept)
        if failed.kind == "timeout" and failed.status is None:
            failed = CallFailed("timeout", detail=f"no answer within {call.timeout_seconds:g} s")
        if permit.refused:
            host = without(permit.refused, secrets)
            failed = CallFailed("unreachable", detail=f"a second request, to {host}, was not made")
        # What litellm raised is left behind: it holds the request.
        raise failed

    def _arguments(self, call: ModelCall, secret: Secret | None) -> dict[str, object]:
        arguments: dict[str, object] = {
            "model": call.provider_model,
            "messages": [{"role": message.role, "content": message.content} for message in call.messages],
            "api_key": NO_KEY if secret is None else secret.reveal(),
            "max_tokens": call.output_tokens,
            "timeout": call.timeout_seconds,
            "max_retries": 0,
            "num_retries": 0,
            "stream": False,
        }
        if call.provider_model.partition("/")[0] in _HANDLERS:
            arguments["client"] = self._handler
        else:
            arguments["shared_session"] = self._session
        if call.base_url is not None:
            arguments["base_url"] = call.base_url
        if call.temperature is not None:
            arguments["temperature"] = call.temperature
        if call.structured == "json_schema":
            schema = {"name": SCHEMA_NAME, "strict": True, "schema": json.loads(call.schema)}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif call.structured == "json_object":
            arguments["response_format"] = {"type": "json_object"}
        return arguments


def guard_environment(environment: MutableMapping[str, str], near_hosts: Sequence[str]) -> None:
    """Leave nothing in it by which litellm would speak to anybody but the address of a model.

    What would move a provider's address goes, since keys go there, and so does what would let anybody pose as one; what
    is near is spoken to directly, whatever proxy leads to what is far.
    """
    for name in [each for each in environment if not each.startswith("OXBOT_")]:
        if name.startswith("LITELLM_") or name.endswith(_MOVING) or name in _LOOSENING:
            del environment[name]
    environment.update(ENVIRONMENT)
    for name in ("NO_PROXY", "no_proxy"):
        known = [each for each in environment.get(name, "").split(",") if each]
        environment[name] = ",".join(dict.fromkeys([*known, *near_hosts]))


def _near_hosts(table: ModelTable) -> list[str]:
    hosts = [urlsplit(model.base_url).hostname for model in table.models.values() if model.base_url is not None]
    return sorted({host for host in hosts if host is not None and near(host)})


def _load() -> _Library:
    try:
        library = cast("_Library", import_module("litellm"))
    except ModuleNotFoundError as error:
        raise ModelLibraryMissing("litellm is not installed; install oxbot with its extra: oxbot[llm]") from error
    library.suppress_debug_info = True
    library.drop_params = False
    library.turn_off_message_logging = True
    library.telemetry = False
    library.disable_hf_tokenizer_download = True
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return library


def _guarded() -> tuple[_Session, object]:
    """A session that lets out what is permitted, and litellm's own kind of client over it."""
    aiohttp = import_module("aiohttp")

    async def starting(_session: object, _context: object, asked: object) -> None:
        permit = _permit.get()
        url = cast("_Asked", asked).url
        if permit is None or not permit.allows(url.host):
            raise aiohttp.ClientConnectionError("only one request is made, to one host")

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(starting)
    session = aiohttp.ClientSession(trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)
    handlers = import_module("litellm.llms.custom_httpx.http_handler")
    make = cast("Callable[..., object]", handlers.AsyncHTTPHandler)
    return cast("_Session", session), make(shared_session=session, follow_redirects=False)


class _Url(Protocol):
    host: str | None


class _Asked(Protocol):
    url: _Url


def _completion(answer: _Answer, secrets: Sequence[str]) -> Completion:
    """What is kept of it, wherein no provider, nor whoever poses as one, has us keep the key that it was sent."""
    text, finish = None, ""
    if answer.choices:
        choice = answer.choices[0]
        content = choice.message.content
        text = without(content[:TEXT_MAX], secrets) if isinstance(content, str) else None
        finish = _name(choice.finish_reason, secrets)
    return Completion(
        text=text,
        resolved_model=_name(answer.model, secrets),
        request_id=_name(answer.id, secrets),
        finish_reason=finish,
        usage=_usage(answer.usage),
    )


def _usage(told: object) -> Usage:
    details = getattr(told, "prompt_tokens_details", None)
    return Usage(
        input=_count(getattr(told, "prompt_tokens", None)),
        output=_count(getattr(told, "completion_tokens", None)),
        cached=_count(getattr(details, "cached_tokens", None)),
    )


def _count(told: object) -> int:
    return min(max(0, told), TOKENS_MAX) if isinstance(told, int) else 0


def _name(told: object, secrets: Sequence[str]) -> str:
    """A name that a provider gave: printable, short and without the key."""
    said = str(told or "")[:TEXT_MAX]
    return "".join(each for each in without(said, secrets) if each.isprintable())[:NAME_MAX]
