"""What models say that are wrong or mean harm, over real litellm: nothing unsafe is read, and its fault is named."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from events.identifiers import ModelName
from oxbot.adapters.litellm_transport import LitellmTransport, open_litellm
from oxbot.adapters.model_table import ModelKeys, parse_model_table
from oxbot.app.clock import SystemClock
from oxbot.app.models.check import Checked, check_model
from oxbot.app.models.known import KnownModel, ModelTable
from tests.adapters.questions import behaving, question
from tests.adapters.test_scripted_transport import DROPPED, FAULTS, LEGAL
from tests.models_server import ModelsServer, models_server

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-1234567890"
ROOT = Path(__file__).parents[2]
TABLE = """
[models.tested]
provider_model = "openai/MODEL"
base_url = "URL"
key_env = "TEST_KEY"
prices = { input = 0.5, cached = 0.1, output = 2, version = "test-1" }
"""


@pytest.fixture
async def server() -> AsyncIterator[ModelsServer]:
    async with models_server(behaving(), default="rule") as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[LitellmTransport]:
    async with open_litellm(ModelTable(), ModelKeys(ModelTable(), {}), clock=SystemClock()) as opened:
        yield opened


async def checked(server: ModelsServer, transport: LitellmTransport, behaviour: str) -> Checked:
    model = KnownModel(name=ModelName("tested"), provider_model=f"openai/{behaviour}", base_url=server.base_url)
    return await check_model(model, transport, question=question(), calls=1, clock=SystemClock())


@pytest.mark.parametrize("behaviour", LEGAL)
async def test_a_legal_answer_comes_through_whole(
    behaviour: str, server: ModelsServer, transport: LitellmTransport
) -> None:
    found = await checked(server, transport, behaviour)
    assert found.passed
    assert found.calls[0].opinions == 3
    assert len(server.attempts) == 1


@pytest.mark.parametrize(("behaviour", "code"), FAULTS.items())
async def test_an_answer_that_is_none_is_named(
    behaviour: str, code: str, server: ModelsServer, transport: LitellmTransport
) -> None:
    (call,) = (await checked(server, transport, behaviour)).calls
    assert (call.fault or "").partition(":")[0] == code
    assert call.opinions == 0
    assert len(server.attempts) == 1


@pytest.mark.parametrize(("behaviour", "dropped"), DROPPED.items())
async def test_a_wrong_item_is_dropped(
    behaviour: str, dropped: int, server: ModelsServer, transport: LitellmTransport
) -> None:
    (call,) = (await checked(server, transport, behaviour)).calls
    assert (call.opinions, call.refused_items) == (2, dropped)
    assert len(server.attempts) == 1


async def test_an_answer_that_was_cut_off_is_not_as_it_must_be_even_if_it_can_be_read(
    transport: LitellmTransport,
) -> None:
    def padded(body: Mapping[str, Any]) -> str:
        whole = behaving()["rule"](body) or ""
        return whole + " " * len(whole)

    async with models_server({"length": padded}) as server:
        found = await checked(server, transport, "length")
    assert (found.passed, found.compliant, found.calls[0].opinions) == (False, 0, 0)
    assert (found.calls[0].fault or "").startswith("truncated")


async def test_what_fails_on_the_way_is_said_with_its_status(server: ModelsServer, transport: LitellmTransport) -> None:
    (call,) = (await checked(server, transport, "server_error")).calls
    assert (call.fault or "").startswith("provider_error 500:")


async def _check(
    tmp_path: Path, server: ModelsServer, behaviour: str, *options: str, key: str = KEY
) -> tuple[int, str, str]:
    path = tmp_path / "models.toml"
    path.write_text(TABLE.replace("URL", server.base_url).replace("MODEL", behaviour))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OXBOT_")},
        "OXBOT_MODELS": str(path),
        "TEST_KEY": key,
    }
    command = "from oxbot.cli.main import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "models", "check", "tested", *options),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT, env=environment,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command_says_compliance_latency_and_cost(server: ModelsServer, tmp_path: Path) -> None:
    status, out, err = await _check(tmp_path, server, "rule", "--calls", "2", "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert (told["compliant"], len(told["calls"]), told["passed"]) == (2, 2, True)
    # 1,000 fresh tokens, 200 cached ones and 80 of output, twice, in millionths of 0.5, 0.1 and 2 dollars.
    assert told["cost"] == "0.00136"
    assert told["calls"][0]["resolved_model"] == "rule-2026-01-01"
    assert [attempt.headers["authorization"] for attempt in server.attempts] == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize("behaviour", ["leverage", "echoes_key"])
async def test_the_command_fails_where_the_model_does_and_shows_no_key(
    behaviour: str, server: ModelsServer, tmp_path: Path
) -> None:
    status, out, err = await _check(tmp_path, server, behaviour)
    assert status == 1, err
    assert "0 of 1 answers as they must be" in out
    assert KEY not in out + err


async def test_without_its_key_a_model_is_not_asked_and_that_is_said(server: ModelsServer, tmp_path: Path) -> None:
    status, out, err = await _check(tmp_path, server, "rule", key="")
    assert status != 0
    assert "TEST_KEY holds no key" in err
    assert (out, server.attempts) == ("", [])


def test_the_table_of_this_test_is_one() -> None:
    assert parse_model_table(TABLE.replace("URL", "http://127.0.0.1:1/v1"), Path("models.toml")).models["tested"].keyed  # type: ignore[index]  # a name
