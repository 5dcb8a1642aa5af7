"""What a bot was created with is shown whole: nothing left out, nothing rounded, every default with its value."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given

from events.bot import BotStarted
from events.values import (
    FeeSchedule,
    Instrument,
    PaperModel,
    ProfitGuard,
    RiskLimits,
    Sizing,
    StopGuard,
    Value,
)
from oxbot.views.rows import BotRow
from oxbot.views.setup import (
    FeesInForce,
    InForce,
    InstrumentInForce,
    LimitsInForce,
    PaperInForce,
    ProfitGuardInForce,
    SizingInForce,
    StopGuardInForce,
    in_force,
)
from tests.core.scenario import BTC, created, deposited
from tests.strategies import FEES, INSTRUMENTS, LIMITS, PAPERS, SIZINGS
from tests.views.projected import fields, rows_after

KINDS: dict[type[Value], type[InForce]] = {
    RiskLimits: LimitsInForce,
    StopGuard: StopGuardInForce,
    ProfitGuard: ProfitGuardInForce,
    Sizing: SizingInForce,
    PaperModel: PaperInForce,
    FeeSchedule: FeesInForce,
    Instrument: InstrumentInForce,
}


@pytest.mark.parametrize(("value", "kind"), KINDS.items())
def test_no_field_is_left_out_and_none_may_be(value: type[Value], kind: type[InForce]) -> None:
    named = [name for name in value.__struct_fields__ if name != "symbol"]
    assert list(kind.__struct_fields__) == named
    assert all(field.required for field in msgspec.structs.fields(kind))


@given(value=LIMITS | SIZINGS | PAPERS | FEES | INSTRUMENTS)
def test_what_is_shown_is_the_value_to_the_last_digit_and_can_be_given_again(value: Value) -> None:
    shown = msgspec.json.encode(in_force(value, KINDS[type(value)]))
    given_again = msgspec.json.decode(shown, type=dict[str, object]) | _symbol(value)
    assert msgspec.convert(given_again, type(value)) == value
    assert msgspec.json.encode(msgspec.json.decode(shown, type=KINDS[type(value)])) == shown


def _symbol(value: Value) -> dict[str, object]:
    return {"symbol": value.symbol} if isinstance(value, Instrument) else {}


def test_amounts_have_no_exponent() -> None:
    shown = in_force(PaperModel(slippage_max=Decimal("1E-7"), funding_rate=Decimal("-0.00010")), PaperInForce)
    assert (shown.slippage_max, shown.funding_rate, shown.half_spread) == ("0.0000001", "-0.0001", "0")


def test_a_bots_row_says_what_it_was_given_and_goes_on_saying_it() -> None:
    guard = StopGuard(stops_max=3, lookback_candles=288, pause_candles=24)
    given_ = msgspec.structs.replace(
        created(limits=RiskLimits(drawdown_max=Decimal("0.10"), stop_guard=guard)),
        sizing=Sizing(method="risk"),
        paper=PaperModel(seed=7),
    )
    found = [rows_after([given_, deposited(), *more]) for more in ([], [BotStarted()])]

    for rows in found:
        limits, sizing, paper, instruments = fields(rows, BotRow, "", "limits", "sizing", "paper", "instruments")
        assert isinstance(limits, LimitsInForce)
        assert (limits.drawdown_max, limits.positions_max, limits.daily_loss_max) == ("0.1", 5, None)
        assert limits.stop_guard == StopGuardInForce(
            stops_max=3, lookback_candles=288, pause_candles=24, per_symbol=False
        )
        assert sizing == in_force(Sizing(method="risk"), SizingInForce)
        assert paper == in_force(PaperModel(seed=7), PaperInForce)
        assert instruments == {BTC: in_force(given_.market.instruments[0], InstrumentInForce)}
