"""The codec: what goes in comes out, what must not be is refused, and what older programs wrote can still be read."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.bot import BotPaused, BotStarted, CapitalDeposited, OrderRequested
from events.codec import FACT_TYPES, SCHEMA_VERSIONS, Codec, EventColumns, RawFact, Upcaster
from events.envelope import Fact, Metadata
from events.errors import InvalidUpcasters, UndecodableFact, UnknownFact
from events.identifiers import StreamId, new_event_id
from tests.strategies import (
    ACCOUNTS,
    ALERTS,
    BOTS,
    FACTS,
    FLEETS,
    METADATA,
    MODELS,
    NEWS,
    SECURITY,
    SYSTEM,
    USERS,
    VENUES,
)

GOLDEN_FILES = sorted((Path(__file__).parents[1] / "golden").glob("facts_v*.json"))
GOLDEN_BY_VERSION: dict[int, dict[str, str]] = {
    int(file.stem.removeprefix("facts_v")): json.loads(file.read_text()) for file in GOLDEN_FILES
}
"""Facts as each schema version wrote them, msgpack in hex: one of each type, and one with each field that came later.

Entries are added, never changed.
"""

GOLDEN = GOLDEN_BY_VERSION[1]
SAMPLES = [
    (sample, version, bytes.fromhex(payload))
    for version, samples in GOLDEN_BY_VERSION.items()
    for sample, payload in sorted(samples.items())
]


@given(FACTS)
def test_every_fact_comes_back_as_it_was(fact: Fact) -> None:
    codec = Codec()
    decoded = codec.decode(*codec.encode(fact))
    assert decoded == fact
    assert type(decoded) is type(fact)


EACH = [*BOTS, *FLEETS, *ACCOUNTS, *VENUES, *USERS, *SYSTEM, *MODELS, *NEWS, *SECURITY, *ALERTS]


@pytest.mark.parametrize("strategy", EACH)
def test_each_fact_type_comes_back_as_it_was(strategy: st.SearchStrategy[Fact]) -> None:
    codec = Codec()

    @given(strategy)
    def check(fact: Fact) -> None:
        assert codec.decode(*codec.encode(fact)) == fact

    check()


def test_every_fact_type_has_a_strategy() -> None:
    assert len(EACH) == len(FACT_TYPES)


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


FIRST = Upcaster(event_type="bot.paused", from_version=1, to_version=2, upcast=rename_why)
SECOND = Upcaster(event_type="bot.paused", from_version=2, to_version=3, upcast=rename_text)
PAUSED_3 = {"bot.paused": 3}


def test_older_facts_go_through_the_chain_from_their_own_version() -> None:
    codec = Codec([SECOND, FIRST], schema_versions=PAUSED_3)
    first = msgspec.msgpack.encode({"type": "bot.paused", "why": "one"})
    second = msgspec.msgpack.encode({"type": "bot.paused", "text": "two"})
    assert codec.decode("bot.paused", 1, first) == BotPaused(reason="one")
    assert codec.decode("bot.paused", 2, second) == BotPaused(reason="two")
    assert codec.encode(BotPaused(reason="three"))[1] == 3
    assert codec.decode(*codec.encode(BotPaused(reason="three"))) == BotPaused(reason="three")


def test_a_step_may_pass_over_versions() -> None:
    leap = Upcaster(
        event_type="bot.paused",
        from_version=1,
        to_version=3,
        upcast=lambda raw: {"type": raw["type"], "reason": raw["why"]},
    )
    codec = Codec([leap, SECOND], schema_versions=PAUSED_3)
    assert codec.decode("bot.paused", 1, msgspec.msgpack.encode({"type": "bot.paused", "why": "one"})) == BotPaused(
        reason="one"
    )


def test_upcast_facts_are_checked_like_any_other() -> None:
    def break_amount(raw: RawFact) -> RawFact:
        return raw | {"amount": "NaN"}

    step = Upcaster(event_type="capital.deposited", from_version=1, to_version=2, upcast=break_amount)
    codec = Codec([step], schema_versions={"capital.deposited": 2})
    payload = msgspec.msgpack.encode({"type": "capital.deposited", "amount": "1"})
    with pytest.raises(msgspec.ValidationError, match="finite"):
        codec.decode("capital.deposited", 1, payload)


def test_an_upcast_fact_keeps_its_decimals_and_times() -> None:
    step = Upcaster(event_type="order.requested", from_version=1, to_version=2, upcast=dict)
    payload = bytes.fromhex(GOLDEN["order.requested"])
    upcast = Codec([step], schema_versions={"order.requested": 2}).decode("order.requested", 1, payload)
    assert isinstance(upcast, OrderRequested)
    assert upcast == Codec().decode("order.requested", 1, payload)


@pytest.mark.parametrize(
    ("upcasters", "schema_versions", "message"),
    [
        ([SECOND], PAUSED_3, "gap"),
        ([FIRST, SECOND], {"bot.paused": 4}, "gap"),
        ([], {"bot.paused": 2}, "gap"),
        ([FIRST, FIRST, SECOND], PAUSED_3, "two upcasters"),
        ([FIRST, msgspec.structs.replace(SECOND, to_version=1)], PAUSED_3, "cycle"),
        ([FIRST, msgspec.structs.replace(SECOND, to_version=2)], PAUSED_3, "cycle"),
        ([FIRST, SECOND], {"bot.paused": 2}, "beyond version 2"),
        ([FIRST], {}, "beyond version 1"),
        ([msgspec.structs.replace(FIRST, from_version=0)], {"bot.paused": 2}, "unreachable"),
        ([msgspec.structs.replace(FIRST, event_type="bot.dreamt")], {}, "no fact type"),
        ([], {"bot.dreamt": 2}, "no fact type"),
    ],
)
def test_a_chain_that_does_not_reach_is_refused_at_the_start(
    upcasters: list[Upcaster], schema_versions: dict[str, int], message: str
) -> None:
    with pytest.raises(InvalidUpcasters, match=message):
        Codec(upcasters, schema_versions=schema_versions)


def test_a_payload_of_another_type_than_its_row_says_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        Codec().decode("bot.paused", 1, Codec().encode(BotStarted())[2])


def test_metadata_that_comes_again_is_the_same_object() -> None:
    codec = Codec()
    payload = codec.encode_metadata(Metadata(actor="bot-1"))
    assert codec.decode_metadata(bytes(payload)) is codec.decode_metadata(bytes(payload))


def columns(*rows: tuple[str, int, bytes]) -> EventColumns:
    """So many events of one stream, as the log's columns."""
    numbers = range(1, len(rows) + 1)
    at = [datetime(2024, 1, 1, tzinfo=UTC)] * len(rows)
    types, versions, payloads = zip(*rows, strict=True)
    ids = [new_event_id() for _ in rows]
    streams = [StreamId("bot-1")] * len(rows)
    return EventColumns(numbers, streams, numbers, ids, types, versions, at, at, payloads, [b"\x80"] * len(rows))


def test_a_page_holds_facts_of_every_version() -> None:
    codec = Codec([FIRST, SECOND], schema_versions=PAUSED_3)
    events = codec.decode_events(
        columns(
            ("bot.paused", 1, msgspec.msgpack.encode({"type": "bot.paused", "why": "one"})),
            codec.encode(BotStarted()),
            codec.encode(BotPaused(reason="three")),
        )
    )
    assert [event.fact for event in events] == [BotPaused(reason="one"), BotStarted(), BotPaused(reason="three")]
    assert [(event.position, event.version, event.metadata) for event in events] == [
        (number, number, Metadata()) for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("event_type", "version", "payload"),
    [
        ("bot.dreamt", 1, b"\x80"),
        ("bot.paused", 9, b"\x80"),
        ("bot.paused", 1, b"\xc1"),
        ("bot.paused", 1, b""),
        ("bot.paused", 1, msgspec.msgpack.encode({"type": "bot.paused", "reason": 7})),
        ("bot.paused", 1, b"\x82\xa4type\xaabot.paused\xa6reason\xa1\xff"),
        ("capital.deposited", 1, msgspec.msgpack.encode({"type": "capital.deposited", "amount": "NaN"})),
        ("capital.deposited", 1, msgspec.msgpack.encode({"type": "capital.deposited", "amount": "a lot"})),
    ],
)
def test_the_first_event_that_cannot_be_read_is_named(event_type: str, version: int, payload: bytes) -> None:
    codec = Codec()
    good, bad = codec.encode(BotStarted()), (event_type, version, payload)
    with pytest.raises(UndecodableFact, match="position 3") as caught:
        codec.decode_events(columns(good, good, bad, bad, good))
    assert (caught.value.position, caught.value.stream, caught.value.event_type) == (3, "bot-1", event_type)
    assert caught.value.reason


def test_an_upcaster_that_fails_names_the_event() -> None:
    codec = Codec([FIRST, SECOND], schema_versions=PAUSED_3)
    other = msgspec.msgpack.encode({"type": "bot.paused", "unheard": "of"})
    with pytest.raises(UndecodableFact, match="KeyError") as caught:
        codec.decode_events(columns(codec.encode(BotStarted()), ("bot.paused", 1, other)))
    assert caught.value.position == 2


def test_every_fact_type_has_a_golden_sample_of_each_schema_version() -> None:
    due = {(name, version) for name in FACT_TYPES for version in range(1, SCHEMA_VERSIONS.get(name, 1) + 1)}
    assert {(sample.split(maxsplit=1)[0], version) for sample, version, _ in SAMPLES} == due


def content_of(payload: bytes) -> list[tuple[str, object]]:
    """The names and values in their order; bytes say them in a longer way once a type has more than 15 fields."""
    return list(msgspec.msgpack.decode(payload, type=dict[str, object]).items())


@pytest.mark.parametrize(("sample", "version", "payload"), SAMPLES)
def test_a_golden_sample_is_still_read_and_written_alike(sample: str, version: int, payload: bytes) -> None:
    codec, event_type = Codec(), sample.split(maxsplit=1)[0]
    written = codec.encode(codec.decode(event_type, version, payload))
    if version == SCHEMA_VERSIONS.get(event_type, 1):
        assert written[:2] == (event_type, version)
        assert content_of(written[2]) == content_of(payload)
