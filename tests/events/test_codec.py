"""The codec: what goes in comes out, what must not be is refused, and what older programs wrote can still be read."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import BotPaused, CapitalDeposited, OrderRequested
from events.codec import FACT_TYPES, Codec, RawFact, Upcaster
from events.envelope import Fact, Metadata
from events.errors import UnknownFact
from tests.strategies import CAPITAL, DECISIONS, FACTS, LIFECYCLE, METADATA, ORDERS, USERS

GOLDEN: dict[str, str] = json.loads((Path(__file__).parents[1] / "golden" / "facts_v1.json").read_text())
"""One fact of each type as schema version 1 wrote it, msgpack in hex; entries are added, never changed."""


@given(FACTS)
def test_every_fact_comes_back_as_it_was(fact: Fact) -> None:
    codec = Codec()
    decoded = codec.decode(*codec.encode(fact))
    assert decoded == fact
    assert type(decoded) is type(fact)


@pytest.mark.parametrize("strategy", [*LIFECYCLE, *CAPITAL, *DECISIONS, *ORDERS, *USERS])
def test_each_fact_type_comes_back_as_it_was(strategy: st.SearchStrategy[Fact]) -> None:
    codec = Codec()

    @given(strategy)
    def check(fact: Fact) -> None:
        assert codec.decode(*codec.encode(fact)) == fact

    check()


def test_every_fact_type_has_a_strategy() -> None:
    assert len([*LIFECYCLE, *CAPITAL, *DECISIONS, *ORDERS, *USERS]) == len(FACT_TYPES)


@given(METADATA)
def test_metadata_comes_back_as_it_was(metadata: Metadata) -> None:
    codec = Codec()
    assert codec.decode_metadata(codec.encode_metadata(metadata)) == metadata


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_finite_decimal_keeps_all_its_digits(amount: Decimal) -> None:
    codec = Codec()
    decoded = codec.decode(*codec.encode(CapitalDeposited(amount=amount)))
    assert isinstance(decoded, CapitalDeposited)
    assert decoded.amount.as_tuple() == amount.as_tuple()


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_no_number_is_refused_on_the_way_in_and_out(text: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        CapitalDeposited(amount=Decimal(text))
    payload = msgspec.msgpack.encode({"type": "capital.deposited", "amount": text})
    with pytest.raises(msgspec.ValidationError, match="finite"):
        Codec().decode("capital.deposited", 1, payload)


def test_a_number_that_is_no_number_is_refused_inside_a_value_and_where_it_is_optional() -> None:
    codec = Codec()
    _, _, payload = codec.encode(codec.decode("order.requested", 1, bytes.fromhex(GOLDEN["order.requested"])))
    for field, content in (("quantity", "NaN"), ("bracket", {"stop_fraction": "Infinity", "target_fraction": "0.04"})):
        raw = msgspec.msgpack.decode(payload, type=dict[str, object]) | {field: content}
        with pytest.raises(msgspec.ValidationError, match="finite"):
            codec.decode("order.requested", 1, msgspec.msgpack.encode(raw))


def test_a_time_without_a_zone_is_refused() -> None:
    payload = msgspec.msgpack.encode({"type": "order.accepted", "order_id": "o", "at": "2024-01-01T00:00:00"})
    with pytest.raises(msgspec.ValidationError):
        Codec().decode("order.accepted", 1, payload)


def test_a_type_or_version_from_another_program_is_refused() -> None:
    codec = Codec()
    with pytest.raises(UnknownFact, match=r"bot\.dreamt"):
        codec.decode("bot.dreamt", 1, b"")
    for version in (0, 2):
        with pytest.raises(UnknownFact, match=f"version {version}"):
            codec.decode("bot.paused", version, msgspec.msgpack.encode({"type": "bot.paused"}))


def test_a_field_this_program_does_not_know_is_passed_over() -> None:
    payload = msgspec.msgpack.encode({"type": "bot.paused", "reason": "why", "later": 1})
    assert Codec().decode("bot.paused", 1, payload) == BotPaused(reason="why")


def rename_why(raw: RawFact) -> RawFact:
    """Version 1 said ``why``."""
    return {"type": raw["type"], "text": raw["why"]}


def rename_text(raw: RawFact) -> RawFact:
    """Version 2 said ``text``."""
    return {"type": raw["type"], "reason": raw["text"]}


FIRST = Upcaster(event_type="bot.paused", from_version=1, upcast=rename_why)
SECOND = Upcaster(event_type="bot.paused", from_version=2, upcast=rename_text)


def test_older_facts_go_through_the_chain_from_their_own_version() -> None:
    codec = Codec([SECOND, FIRST])
    first = msgspec.msgpack.encode({"type": "bot.paused", "why": "one"})
    second = msgspec.msgpack.encode({"type": "bot.paused", "text": "two"})
    assert codec.decode("bot.paused", 1, first) == BotPaused(reason="one")
    assert codec.decode("bot.paused", 2, second) == BotPaused(reason="two")
    assert codec.encode(BotPaused(reason="three"))[1] == 3
    assert codec.decode(*codec.encode(BotPaused(reason="three"))) == BotPaused(reason="three")


def test_upcast_facts_are_checked_like_any_other() -> None:
    def break_amount(raw: RawFact) -> RawFact:
        return raw | {"amount": "NaN"}

    codec = Codec([Upcaster(event_type="capital.deposited", from_version=1, upcast=break_amount)])
    payload = msgspec.msgpack.encode({"type": "capital.deposited", "amount": "1"})
    with pytest.raises(msgspec.ValidationError, match="finite"):
        codec.decode("capital.deposited", 1, payload)


def test_an_upcast_fact_keeps_its_decimals_and_times() -> None:
    codec = Codec([Upcaster(event_type="order.requested", from_version=1, upcast=dict)])
    payload = bytes.fromhex(GOLDEN["order.requested"])
    upcast = codec.decode("order.requested", 1, payload)
    assert isinstance(upcast, OrderRequested)
    assert upcast == Codec().decode("order.requested", 1, payload)


@pytest.mark.parametrize(
    ("upcasters", "message"),
    [
        ([SECOND], "gap"),
        ([FIRST, msgspec.structs.replace(SECOND, from_version=3)], "gap"),
        ([FIRST, FIRST], "two upcasters"),
        ([msgspec.structs.replace(FIRST, event_type="bot.dreamt")], "no fact type"),
    ],
)
def test_a_chain_that_does_not_reach_is_refused_at_the_start(upcasters: list[Upcaster], message: str) -> None:
    with pytest.raises(UnknownFact, match=message):
        Codec(upcasters)


def test_every_fact_type_has_a_golden_sample() -> None:
    assert sorted(GOLDEN) == sorted(FACT_TYPES)


@pytest.mark.parametrize("event_type", sorted(GOLDEN))
def test_a_golden_sample_is_still_read_and_written_alike(event_type: str) -> None:
    codec = Codec()
    payload = bytes.fromhex(GOLDEN[event_type])
    assert codec.encode(codec.decode(event_type, 1, payload)) == (event_type, 1, payload)
