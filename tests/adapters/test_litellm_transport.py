"""Through the real litellm against a server on loopback: one request per call, and a reason whatever comes back."""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from events.advice import AbstainReason, Usage
from events.identifiers import ModelName
from oxbot.adapters.litellm_transport import TEXT_MAX, LitellmTransport, guard_environment, open_litellm
from oxbot.adapters.model_table import ModelKeys
from oxbot.app.clock import SystemClock
from oxbot.app.models.known import KnownModel, ModelTable
from oxbot.app.models.transport import CallFailed, Message, ModelCall
from tests.models_server import ModelsServer, models_server

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-1234567890"
TABLE = ModelTable(
    [
        KnownModel(name=ModelName("keyed"), provider_model="openai/any", key_env="TEST_KEY"),
        KnownModel(name=ModelName("open"), provider_model="openai/any"),
    ]
)
MESSAGES = (Message("system", "You are a trader."), Message("user", "What now?"))
SCHEMA = json.dumps({"type": "object", "properties": {}, "required": [], "additionalProperties": False})
PROVIDERS = (
    *("openai", "deepseek", "openrouter", "hosted_vllm", "dashscope", "mistral", "groq", "xai"),
    *("anthropic", "gemini", "ollama_chat"),
)
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def server() -> AsyncIterator[ModelsServer]:
    async with models_server() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[LitellmTransport]:
    keys = ModelKeys(TABLE, {"TEST_KEY": KEY})
    async with open_litellm(TABLE, keys, clock=SystemClock()) as opened:
        yield opened


def call(server: ModelsServer, model: str = "keyed", **changes: Any) -> ModelCall:
    given: dict[str, Any] = {
        "model": ModelName(model),
        "provider_model": "openai/any",
        "base_url": server.base_url,
        "messages": MESSAGES,
        "schema": SCHEMA,
        "output_tokens": 300,
        "timeout_seconds": 60.0,
        "temperature": 0.0,
        **changes,
    }
    return ModelCall(**given)


FAULTS: Sequence[tuple[str, AbstainReason, int | None]] = [
    ("rate_limited", "rate_limited", 429),
    ("server_error", "provider_error", 500),
    ("bad_gateway", "provider_error", 502),
    ("unavailable", "provider_error", 503),
    ("overloaded", "provider_error", 529),
    ("gateway_timeout", "timeout", 504),
    ("no_key", "refused", 401),
    ("forbidden", "refused", 403),
    ("no_such_model", "refused", 404),
    ("bad_request", "refused", 400),
    ("context_exceeded", "refused", None),
    ("content_filtered", "refused", None),
    ("dropped", "unreachable", None),
    ("dropped_in_body", "unreachable", None),
    ("broken_json", "provider_error", None),
    ("html", "provider_error", None),
    ("wrong_types", "provider_error", None),
    ("redirect", "unreachable", None),
]


@pytest.mark.parametrize(("fault", "kind", "status"), FAULTS)
async def test_a_fault_is_one_request_and_one_reason(
    fault: str, kind: AbstainReason, status: int | None, server: ModelsServer, transport: LitellmTransport
) -> None:
    server.then(fault)
    with pytest.raises(CallFailed) as failed:
        await transport.complete(call(server))
    assert (failed.value.kind, failed.value.status) == (kind, status)
    assert failed.value.detail
    assert len(server.attempts) == 1


@pytest.mark.parametrize("fault", ["hang", "trickle"])
async def test_a_call_ends_at_its_deadline_whatever_trickles_in(
    fault: str, server: ModelsServer, transport: LitellmTransport
) -> None:
    server.then(fault)
    with pytest.raises(CallFailed) as failed:
        await transport.complete(call(server, timeout_seconds=1.0))
    assert (failed.value.kind, failed.value.detail) == ("timeout", "no answer within 1 s")
    assert (await transport.complete(call(server))).text is not None
    assert len(server.attempts) == 2


async def test_a_port_that_nobody_listens_on_is_unreachable(transport: LitellmTransport) -> None:
    async with models_server() as gone:
        wanted = call(gone)
    with pytest.raises(CallFailed) as failed:
        await transport.complete(wanted)
    assert failed.value.kind == "unreachable"
    assert gone.attempts == []


async def test_an_answer_comes_with_what_the_provider_says_of_it(
    server: ModelsServer, transport: LitellmTransport
) -> None:
    completion = await transport.complete(call(server))
    assert completion.text == '{"said": "nothing"}'
    assert completion.resolved_model == "any-2026-01-01"
    assert completion.request_id == "chatcmpl-1"
    assert completion.finish_reason == "stop"
    assert completion.usage == Usage(input=1200, output=80, cached=200)


@pytest.mark.parametrize("fault", ["empty_choices", "null_content"])
async def test_what_says_nothing_is_an_answer_without_text(
    fault: str, server: ModelsServer, transport: LitellmTransport
) -> None:
    server.then(fault)
    completion = await transport.complete(call(server))
    assert completion.text is None
    assert completion.usage.input == 1200


async def test_an_answer_that_was_cut_off_says_so(server: ModelsServer, transport: LitellmTransport) -> None:
    server.then("length")
    completion = await transport.complete(call(server))
    assert completion.text == '{"said": '
    assert completion.finish_reason == "length"


async def test_a_provider_that_counts_nothing_has_counted_nothing(
    server: ModelsServer, transport: LitellmTransport
) -> None:
    server.then("no_usage")
    assert (await transport.complete(call(server))).usage == Usage()


async def test_of_a_huge_answer_a_bounded_part_is_kept(server: ModelsServer, transport: LitellmTransport) -> None:
    server.then("huge")
    assert len((await transport.complete(call(server))).text or "") == TEXT_MAX


async def test_the_wait_that_a_provider_asks_for_is_told(server: ModelsServer, transport: LitellmTransport) -> None:
    server.retry_after = "2.5"
    server.then("rate_limited", "rate_limited_date")
    waits = []
    for _ in range(2):
        with pytest.raises(CallFailed) as failed:
            await transport.complete(call(server))
        waits.append(failed.value.retry_after)
    assert waits == [2.5, 86_400.0]


async def test_the_request_is_what_the_call_says(server: ModelsServer, transport: LitellmTransport) -> None:
    await transport.complete(call(server))
    (attempt,) = server.attempts
    assert attempt.path == "/v1/chat/completions"
    assert attempt.headers["authorization"] == f"Bearer {KEY}"
    assert attempt.body == {
        "model": "any",
        "messages": [{"role": message.role, "content": message.content} for message in MESSAGES],
        "max_tokens": 300,
        "temperature": 0.0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": json.loads(SCHEMA)},
        },
    }


@pytest.mark.parametrize(("structured", "sent"), [("json_object", {"type": "json_object"}), ("none", None)])
async def test_a_model_without_schemas_is_sent_none(
    structured: str, sent: object, server: ModelsServer, transport: LitellmTransport
) -> None:
    await transport.complete(call(server, structured=structured, temperature=None))
    (attempt,) = server.attempts
    assert attempt.body.get("response_format") == sent
    assert "temperature" not in attempt.body


async def test_forty_calls_at_once_are_forty_requests(server: ModelsServer, transport: LitellmTransport) -> None:
    server.then(*["ok", "server_error", "rate_limited", "dropped"] * 10)

    async def asked() -> str:
        try:
            return (await transport.complete(call(server))).finish_reason
        except CallFailed as failed:
            return failed.kind

    outcomes = await asyncio.gather(*(asked() for _ in range(40)))
    assert sorted(outcomes) == sorted(["stop", "provider_error", "rate_limited", "unreachable"] * 10)
    assert len(server.attempts) == 40


async def test_a_cancelled_call_leaves_the_transport_as_it_was(
    server: ModelsServer, transport: LitellmTransport
) -> None:
    server.then("hang")
    hanging = asyncio.create_task(transport.complete(call(server)))
    while not server.attempts:
        await asyncio.sleep(0.01)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert (await transport.complete(call(server))).finish_reason == "stop"
    assert len(server.attempts) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["redirect", "server_error", "rate_limited", "dropped"])
async def test_no_provider_of_litellm_makes_a_second_request(
    provider: str, fault: str, server: ModelsServer, transport: LitellmTransport
) -> None:
    server.then(fault)
    with pytest.raises(CallFailed) as failed:
        await transport.complete(call(server, provider_model=f"{provider}/any", structured="none"))
    assert len(server.attempts) == 1
    expected = {"redirect": {"unreachable", "provider_error"}, "server_error": {"provider_error"}}
    assert failed.value.kind in expected.get(fault, {"rate_limited" if fault == "rate_limited" else "unreachable"})


async def test_what_litellm_itself_refuses_to_send_is_a_fault_of_the_settings(
    server: ModelsServer, transport: LitellmTransport
) -> None:
    with pytest.raises(CallFailed) as failed:
        await transport.complete(call(server, provider_model="nowhere_at_all/any"))
    assert failed.value.settings
    assert server.attempts == []


async def test_no_key_is_shown_even_where_the_provider_shows_it(
    server: ModelsServer, transport: LitellmTransport, capfd: pytest.CaptureFixture[str]
) -> None:
    server.then("echoes_key")
    with pytest.raises(CallFailed) as failed:
        await transport.complete(call(server))
    error = failed.value
    assert server.attempts[0].headers["authorization"] == f"Bearer {KEY}"
    shown = [str(error), repr(error), error.detail, "".join(traceback.format_exception(error)), repr(vars(error))]
    assert error.__cause__ is None
    assert error.__context__ is None
    shown += [repr(transport), repr(vars(transport)), *capfd.readouterr()]
    assert [text for text in shown if KEY in text] == []


async def test_a_good_answer_with_the_key_in_each_of_its_words_comes_without_it(
    server: ModelsServer, transport: LitellmTransport
) -> None:
    server.then("answers_key")
    said = await transport.complete(call(server))
    assert server.attempts[0].headers["authorization"] == f"Bearer {KEY}"
    assert said.text is not None
    assert said.text.startswith("you are ***; ***")
    assert (said.request_id, said.resolved_model) == ("id-***", "model ***")
    assert KEY not in said.finish_reason


async def test_a_key_that_is_not_there_is_said_and_nothing_is_sent(server: ModelsServer) -> None:
    async with open_litellm(TABLE, ModelKeys(TABLE, {}), clock=SystemClock()) as transport:
        with pytest.raises(CallFailed, match="TEST_KEY") as failed:
            await transport.complete(call(server))
    assert failed.value.settings
    assert server.attempts == []


async def test_when_litellm_forgets_its_clients_redirects_are_still_not_followed(
    server: ModelsServer, transport: LitellmTransport
) -> None:
    """It does so after an hour."""
    await transport.complete(call(server))
    vars(transport)["_library"].in_memory_llm_clients_cache.flush_cache()
    server.then("ok", "redirect")
    await transport.complete(call(server))
    with pytest.raises(CallFailed) as failed:
        await transport.complete(call(server))
    assert failed.value.kind == "unreachable"
    assert len(server.attempts) == 3


async def test_a_transport_can_be_opened_again(server: ModelsServer) -> None:
    keys = ModelKeys(TABLE, {"TEST_KEY": KEY})
    for _ in range(2):
        async with open_litellm(TABLE, keys, clock=SystemClock()) as transport:
            await transport.complete(call(server))
            server.then("redirect")
            with pytest.raises(CallFailed):
                await transport.complete(call(server))
    assert len(server.attempts) == 4


def test_what_would_move_a_provider_or_make_litellm_talk_leaves_the_environment() -> None:
    environment = {
        "OPENAI_BASE_URL": "http://elsewhere",
        "DEEPSEEK_API_BASE": "http://elsewhere",
        "LITELLM_LOG": "DEBUG",
        "SSL_VERIFY": "False",
        "NO_PROXY": "intranet",
        "HOME": "/root",
    }
    guard_environment(environment, ["127.0.0.1", "localhost"])
    assert environment == {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_OFFLINE_MODE": "true",
        "NO_PROXY": "intranet,127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "HOME": "/root",
    }


async def test_importing_and_opening_it_speaks_to_nobody_and_a_call_to_its_address_only(
    server: ModelsServer, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("TEST_KEY=sk-out-of-a-file\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "PYTHONPATH": str(ROOT),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        "OPENAI_BASE_URL": "http://127.0.0.1:9",
        "OPENAI_API_KEY": "sk-of-somebody-else",
        "LITELLM_LOG": "DEBUG",
        "DISABLE_AIOHTTP_TRANSPORT": "True",
    }
    finished = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.adapters.probe_litellm", server.base_url],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = json.loads(finished.stdout)
    assert found["opened"] == []
    assert found["called"] == [f"127.0.0.1:{server.port}"]
    assert found["key_variable"] is None, "litellm read a file named .env"
    assert [attempt.headers["authorization"] for attempt in server.attempts] == ["Bearer none"]
    assert "sk-" not in finished.stdout + finished.stderr
    assert finished.stderr == ""
