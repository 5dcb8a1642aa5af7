"""The table of models says exactly what it means, holds no key, and never shows one."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.advice import Usage
from events.identifiers import ModelName
from oxbot.adapters.model_table import (
    InvalidModelTable,
    ModelKeyMissing,
    ModelKeys,
    parse_model_table,
    read_model_table,
)
from oxbot.app.models.known import SCRIPTED, Budgets, KnownModel, ModelTable, Prices

WHOLE = """
[budgets]
bot = { usd_per_day = 0.5, tokens_per_day = 100_000 }

[models.deepseek]
provider_model = "deepseek/deepseek-chat"
key_env = "DEEPSEEK_API_KEY"
prices = { input = 0.27, cached = 0.07, output = 1.10, version = "2026-11" }
calls_per_minute = 40
cutoff = 2025-07-01
structured = "json_object"
fallbacks = ["local"]

[models.local]
provider_model = "openai/qwen3"
base_url = "http://192.168.1.5:8000/v1"
prices = { input = 0, cached = 0, output = 0, version = "own" }
"""
PASTED = "sk-pasted-0123456789abcdef"
HERE = Path("models.toml")
NAMED = ModelName("deepseek")


def test_without_a_file_there_is_the_scripted_model() -> None:
    table = read_model_table(None)
    assert list(table.models) == [SCRIPTED]
    assert table.models[SCRIPTED].scripted
    assert table.budgets == Budgets()


def test_a_table_is_read_to_the_last_digit() -> None:
    table = parse_model_table(WHOLE, HERE)
    model = table.models[NAMED]
    assert model.prices == Prices(
        input=Decimal("0.27"), cached=Decimal("0.07"), output=Decimal("1.10"), version="2026-11"
    )
    assert (model.calls_per_minute, model.structured, model.fallbacks) == (40, "json_object", ("local",))
    assert model.cutoff is not None
    assert model.cutoff.isoformat() == "2025-07-01"
    assert table.budgets.bot.usd_per_day == Decimal("0.5")
    assert table.budgets.owner == Budgets().owner
    assert table.get(SCRIPTED) is not None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f'api_key = "{PASTED}"', "unknown field `api_key`"),
        (f'key_env = "{PASTED}"', r"at `\$\.key_env`"),
        (f"key_env = {PASTED}", "at line 4"),
        ('key_env = "OXBOT_DATABASE_URL"', "a setting of oxbot"),
        ('key_env = "A"\nkey_file = "b"', "two places"),
        ('base_url = "http://me:secret@host/v1"', "a user or a password"),
        ('base_url = "ftp://host/v1"', "no address"),
        ('base_url = "http://api.example.com/v1"\nkey_env = "A"', "unencrypted"),
        ("timeout_seconds = 0", "timeout_seconds"),
        ("temperature = nan", "finite"),
        ("temperature = 3.0", "from 0 to 2"),
        ("output_tokens = 40000", "fewer than context_tokens"),
        ("prices = { input = -1, cached = 0, output = 0, version = 'x' }", "from 0 to"),
        ("prices = { input = 1, output = 0, version = 'x' }", "cached"),
        ("prices = { input = 0.1e-999999, cached = 0, output = 0, version = 'x' }", "at most 12 decimals"),
        ("prices = { input = 0, cached = 0e999999, output = 0, version = 'x' }", "at most 12 decimals"),
        ('fallbacks = ["nobody"]', "falls back to nobody"),
        ('fallbacks = ["tested"]', "itself"),
        ('fallbacks = ["scripted", "scripted"]', "twice"),
        ('name = "other"', "its name"),
        ("provider_model = 'openai/b'", "no TOML"),
        ("colour = 1", "unknown field `colour`"),
    ],
)
def test_what_means_nothing_is_refused_by_its_place_and_no_key_is_repeated(line: str, words: str) -> None:
    text = f"[models.tested]\nprovider_model = 'openai/a'\n# here\n{line}\n"
    with pytest.raises(InvalidModelTable, match=words) as refused:
        parse_model_table(text, HERE)
    assert "models.toml" in str(refused.value)
    assert PASTED not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[models.scripted]\nprovider_model = 'openai/a'", "oxbot's own"),
        ("[models.Upper]\nprovider_model = 'openai/a'", "name"),
        ("[models.a]\nprovider_model = 'gpt-4o'", "provider_model"),
        ("[budgets]\nbot = { usd_per_day = 1 }", "tokens_per_day"),
        ("[budgets]\nbot = { usd_per_day = inf, tokens_per_day = 1 }", "finite"),
        ("models = 7", "models"),
        ("a = " + "[" * 5000, "no TOML"),
    ],
)
def test_a_table_that_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidModelTable, match=words):
        parse_model_table(text, HERE)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelTable, match=r"gone\.toml"):
        read_model_table(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidModelTable, match="UTF-8"):
        read_model_table(tmp_path / "latin.toml")


def test_a_local_server_may_be_keyed_over_plain_http() -> None:
    for host in ("localhost", "127.0.0.1", "10.0.0.2", "[::1]"):
        KnownModel(name=NAMED, provider_model="openai/a", base_url=f"http://{host}:8000/v1", key_env="A")


def test_a_key_is_found_in_the_environment_each_time_anew() -> None:
    environment = {"DEEPSEEK_API_KEY": " sk-one \n"}
    keys = ModelKeys(parse_model_table(WHOLE, HERE), environment)
    assert (found := keys.key(NAMED)) is not None
    assert found.reveal() == "sk-one"
    environment["DEEPSEEK_API_KEY"] = "sk-two"
    assert (found := keys.key(NAMED)) is not None
    assert found.reveal() == "sk-two"
    assert "sk-two" not in repr(found)
    assert keys.key(ModelName("local")) is None


@pytest.mark.parametrize("held", [None, "", "  ", "two words", "sk-\x00", "ké"])
def test_what_is_no_key_is_refused_by_its_place(held: str | None) -> None:
    environment = {} if held is None else {"DEEPSEEK_API_KEY": held}
    with pytest.raises(ModelKeyMissing, match="DEEPSEEK_API_KEY") as refused:
        ModelKeys(parse_model_table(WHOLE, HERE), environment).key(NAMED)
    assert not (held or "").strip() or (held or "") not in str(refused.value)


def test_a_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "key"
    table = ModelTable([KnownModel(name=NAMED, provider_model="openai/a", key_file=str(path))])
    with pytest.raises(ModelKeyMissing, match="No such file"):
        ModelKeys(table, {}).key(NAMED)
    path.write_text("sk-in-a-file\n")
    path.chmod(0o640)
    with pytest.raises(ModelKeyMissing, match="chmod 600"):
        ModelKeys(table, {}).key(NAMED)
    path.chmod(0o600)
    found = ModelKeys(table, {}).key(NAMED)
    assert found is not None
    assert found.reveal() == "sk-in-a-file"


TOKENS = st.integers(min_value=0, max_value=10_000_000)
PRICE = st.decimals(min_value=0, max_value=1000, places=6)


@given(fresh=TOKENS, cached=TOKENS, output=TOKENS, prices=st.tuples(PRICE, PRICE, PRICE))
def test_a_cost_is_exact_and_never_above_its_bound(
    fresh: int, cached: int, output: int, prices: tuple[Decimal, Decimal, Decimal]
) -> None:
    table = Prices(input=prices[0], cached=prices[1], output=prices[2], version="x")
    cost = table.cost(Usage(input=fresh + cached, cached=cached, output=output))
    assert cost * 1_000_000 == fresh * prices[0] + cached * prices[1] + output * prices[2]
    assert 0 <= cost <= table.bound(input_tokens=fresh + cached, output_tokens=output)


def test_more_cached_tokens_than_there_are_make_no_cost_negative() -> None:
    prices = Prices(input=Decimal(10), cached=Decimal(1), output=Decimal(0), version="x")
    assert prices.cost(Usage(input=100, cached=1_000_000)) == Decimal("0.0001")


def test_the_table_in_the_readme_is_one() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    recipe = readme.partition("**Ask language models.**")[2].partition("Then `oxbot models check")[0]
    text = "\n".join(line.removeprefix("    ") for line in recipe.splitlines() if line.startswith("    "))
    assert sorted(parse_model_table(text, HERE).models) == ["deepseek", "local", "scripted"]
