"""A new bot is read from a file, from options, or from both; what is wrong in it is named."""

from decimal import Decimal
from pathlib import Path

import pytest

from events.values import RiskLimits, Sizing, StopGuard
from oxbot.app.new_bot import FeeTerms, NewBot, PaperTerms
from oxbot.cli.inputs import InvalidInput
from oxbot.cli.new_bot import FILE_BYTES_MAX, new_bot

BTC = "BTC/USDT"
OPTIONS = {"name": "one", "symbols": [BTC], "strategy": None, "capital": None}

PERPETUAL = [
    "leverage=5",
    "limits.leverage_max=5",
    "limits.stop_guard.stops_max=3",
    "limits.stop_guard.lookback_candles=288",
    "limits.stop_guard.pause_candles=24",
    "limits.stop_guard.per_symbol=true",
    "sizing.method=risk",
    "sizing.risk_fraction=0.01",
    "instruments.BTC/USDT.kind=perpetual",
    "instruments.BTC/USDT.leverage_max=20",
    "parameters.fast=10",
]


def _file(folder: Path, content: str) -> Path:
    path = folder / "bot.json"
    path.write_text(content)
    return path


def test_what_is_not_said_stays_at_the_default_of_the_api() -> None:
    assert new_bot(None, OPTIONS, []) == NewBot(name="one", symbols=(BTC,))  # type: ignore[arg-type]  # a symbol is text


def test_settings_reach_every_field_however_deep() -> None:
    found = new_bot(None, OPTIONS, PERPETUAL)
    guard = StopGuard(stops_max=3, lookback_candles=288, pause_candles=24, per_symbol=True)
    assert found.limits == RiskLimits(leverage_max=Decimal(5), stop_guard=guard)
    assert found.sizing == Sizing(method="risk", risk_fraction=Decimal("0.01"))
    assert found.instruments == {BTC: PaperTerms(kind="perpetual", leverage_max=Decimal(20))}
    assert (found.leverage, found.parameters) == (Decimal(5), {"fast": "10"})


def test_options_go_before_the_file_and_settings_before_both(tmp_path: Path) -> None:
    content = (
        '{"name": "two", "symbols": ["ETH/USDT"], "capital": 0.12345678901234567890, "limits": {"positions_max": 3}}'
    )
    found = new_bot(_file(tmp_path, content), {"name": "one", "symbols": None}, ["limits.positions_max=2"])
    assert (found.name, found.symbols, found.limits.positions_max) == ("one", ("ETH/USDT",), 2)
    assert found.capital == Decimal("0.12345678901234567890")


def test_parameters_may_be_numbers_of_which_no_digit_is_lost(tmp_path: Path) -> None:
    content = '{"parameters": {"fast": 10, "size_fraction": 0.100000000000000001, "allow_short": true}}'
    found = new_bot(_file(tmp_path, content), OPTIONS, ["parameters.slow=50"])
    assert found.settings == {
        "fast": "10",
        "size_fraction": "0.100000000000000001",
        "allow_short": "true",
        "slow": "50",
    }


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("limits.levrage_max=5", "unknown field `levrage_max` - at `$.limits`"),
        ("limits.stop_guard.stops_max=5", "missing required field `lookback_candles` - at `$.limits.stop_guard`"),
        ("limits.positions_max=many", "`$.limits.positions_max`"),
        ("limits.drawdown_max=NaN", "drawdown_max"),
        ("laverage=5", "unknown field `laverage`"),
        ("leverage=1E+99999999", "`$.leverage`"),
        ("capital=NaN", "`$.capital`"),
        ("paper.funding_rate=a lot", "`$.paper.funding_rate`"),
        ("sizing.method=martingale", "`$.sizing.method`"),
        (
            "instruments.BTC/USDT.kind=future",
            "`$.instruments.BTC/USDT.kind` must be one of spot, perpetual, not 'future'",
        ),
        ("limits=5", "`$.limits`"),
        ("name.first=5", "name has no fields"),
        ("capital", "not of the form"),
        ("=5", "not of the form"),
        ("limits..x=5", "not of the form"),
    ],
)
def test_a_setting_that_cannot_be_is_named(setting: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        new_bot(None, OPTIONS, [setting])
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("leverage=NaN", "`$.leverage` must be a number of at most 40 digits, at least 1 and at most 125, not 'NaN'"),
        ("limits.drawdown_max=1e400", "`$.limits.drawdown_max` must be a number of at most 40 digits, above 0 and at"),
        ("limits.drawdown_max=NaN", "above 0 and at most 1, not 'NaN'"),
        ("limits.positions_max=1.5", "must be a whole number, at least 1 and below 1000000000000000, not '1.5'"),
        (
            "limits=5",
            "`$.limits` must be an object with fields such as position_fraction_max, positions_max, exposure_",
        ),
        ("limits.stop_guard.per_symbol=maybe", "`$.limits.stop_guard.per_symbol` must be true or false, not 'maybe'"),
        ("capital=1e400", "above 0 and below 1000000000000000, not '1e400'"),
        ("fees.maker=free", "`$.fees.maker` must be a number of at most 40 digits, at least 0, below 0.1"),
        ("sizing.method=all", "`$.sizing.method` must be one of fraction, risk, volatility, kelly, not 'all'"),
        ("paper.seed=1.5", "`$.paper.seed` must be a whole number"),
        ("instruments.BTC/USDT.leverage_max=x", "`$.instruments.BTC/USDT.leverage_max` must be a number of at most 40"),
        ("instruments=x", "`$.instruments` must be an object, not 'x'"),
        ("paper.half_spread=" + "x" * 99, "not '" + "x" * 59 + "..."),
    ],
)
def test_what_is_wrong_with_a_value_is_told_with_its_field_and_its_bounds(setting: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        new_bot(None, OPTIONS, [setting])
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["name=two"], "--set 'name=two' contradicts name 'one', which was given already"),
        (["name=one"], "--set 'name=one' contradicts name 'one'"),
        (["symbols=ETH/USDT"], "contradicts symbols"),
        (["limits.positions_max=2", "limits.positions_max=3"], "limits.positions_max is set twice"),
    ],
)
def test_what_is_said_twice_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        new_bot(None, OPTIONS, settings)
    assert words in str(refused.value)


def test_fees_are_set_like_any_field() -> None:
    found = new_bot(None, OPTIONS, ["fees.maker=0.0002", "fees.taker=0.0005", "fees.buys_pay_in=base"])
    assert found.fees == FeeTerms(maker=Decimal("0.0002"), taker=Decimal("0.0005"), buys_pay_in="base")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold one JSON object"),
        ("{}", "missing required field `name`"),
        ('{"name": "a", "name": "b"}', "given twice"),
        ('{"name": "a", "symbols": ["BTC/USDT"], "capital": NaN}', "`$.capital`"),
        ('{"name": "a", "symbols": "BTC/USDT"}', "`$.symbols`"),
        ('{"name": "a", "symbols": ["BTC/USDT"], "limits": {"positions": 1}}', "unknown field `positions`"),
        ('{"name": "a"' + " " * FILE_BYTES_MAX + "}", "more than"),
        (
            '{"name": "a", "symbols": ["BTC/USDT"], "parameters": {"fast": [1]}}',
            "parameter `fast` must be text, a number",
        ),
        (
            '{"name": "a", "symbols": ["BTC/USDT"], "parameters": {"fast": NaN}}',
            "parameter `fast` must be an exact number",
        ),
        ('{"name": "a", "symbols": ["BTC/USDT"], "capital": 1e99999999999999999999}', "Number out of range"),
        ("[" * 60000, "is not JSON"),
    ],
)
def test_a_file_that_cannot_be_is_refused_by_what_is_wrong(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        new_bot(_file(tmp_path, content), {}, [])
    assert words in str(refused.value)
