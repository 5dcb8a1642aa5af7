"""What older programs recorded still folds to what it meant: whole lives, and fields renamed, dropped and added."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import asyncpg
import msgspec
import pytest

from events.bot import BotFact, CapitalDeposited, OrderFilled
from events.codec import Codec, RawFact, Upcaster
from events.envelope import Fact, NewEvent
from events.errors import InvalidUpcasters, UndecodableFact
from events.identifiers import new_event_id
from events.log import NO_STREAM
from events.postgres import PostgresEventLog
from events.user import USERNAME_FIELD, UserCreated, UserFact
from events.values import SubjectId
from oxbot.adapters.aes_gcm_subject_keys import AesGcmSubjectKeys, WrappedKey
from oxbot.adapters.memory_subject_keys import MemoryKeyTable
from oxbot.app.handle import fold_stream
from oxbot.core.account import AccountDecider, AccountState
from oxbot.core.state import fold
from tests.app.fakes import STREAM
from tests.core.scenario import DECIDER

GOLDEN = Path(__file__).parents[1] / "golden"
AT = datetime(2024, 1, 1, tzinfo=UTC)

Encoded = tuple[str, int, bytes]


class Life(msgspec.Struct):
    """A stream as an older program recorded it, and what it folded to; never changed once recorded."""

    events: list[tuple[str, int, str]]
    state: dict[str, object]

    @property
    def encoded(self) -> list[Encoded]:
        """The events as they stand in the log."""
        return [(event_type, version, bytes.fromhex(payload)) for event_type, version, payload in self.events]


LIFE = msgspec.json.decode((GOLDEN / "life_v1.json").read_bytes(), type=Life)
ACCOUNT = json.loads((GOLDEN / "account_v1.json").read_text())


def decoded(codec: Codec, events: Sequence[Encoded]) -> list[BotFact]:
    """A bot's facts."""
    return [codec.decode(*event) for event in events]  # type: ignore[misc]  # a bot's stream holds a bot's facts


def as_recorded(now: object, then: object) -> object:
    """What the older program recorded, as it is now: of each struct only the fields that it had then."""
    if not isinstance(now, dict) or not isinstance(then, dict):
        return now
    return {name: as_recorded(value, then[name]) for name, value in now.items() if name in then}


def test_a_recorded_life_folds_to_the_recorded_state() -> None:
    facts = decoded(Codec(), LIFE.encoded)
    state = fold(facts)

    assert len(facts) == 111
    assert as_recorded(msgspec.json.decode(msgspec.json.encode(state)), LIFE.state) == LIFE.state
    assert set(state.orders) == set(msgspec.convert(LIFE.state["orders"], dict[str, object]))
    assert set(state.ledger.positions) == {"BTC/USDT"}
    assert not state.ledger.dust


def test_a_recorded_life_is_encoded_to_the_recorded_content() -> None:
    codec = Codec()
    written = [codec.encode(codec.decode(*event)) for event in LIFE.encoded]

    assert [event[:2] for event in written] == [event[:2] for event in LIFE.encoded]
    assert [msgspec.msgpack.decode(event[2]) for event in written] == [
        msgspec.msgpack.decode(event[2]) for event in LIFE.encoded
    ]


@pytest.mark.parametrize("form", ["plain_events", "sealed_events"])
def test_a_recorded_account_folds_to_the_recorded_state_whichever_way_its_name_was_recorded(form: str) -> None:
    account = Life(events=[tuple(event) for event in ACCOUNT[form]], state=ACCOUNT["state"])
    decider, state = AccountDecider(), AccountDecider.initial
    for event in account.encoded:
        fact: Fact = Codec().decode(*event)
        assert isinstance(fact, UserFact)
        state = decider.evolve(state, fact)

    assert as_recorded(msgspec.to_builtins(state), account.state) == account.state
    assert state == AccountState(role="trader", failures=2)


@pytest.mark.anyio
async def test_a_name_that_an_older_program_sealed_still_opens() -> None:
    event_type, version, payload = ACCOUNT["sealed_events"][0]
    created = Codec().decode(event_type, version, bytes.fromhex(payload))
    assert isinstance(created, UserCreated)
    assert created.sealed_username is not None
    wrapped = WrappedKey(
        key_id=ACCOUNT["key_id"],
        wrapped=bytes.fromhex(ACCOUNT["wrapped_key"]),
        wrapped_by=ACCOUNT["wrapped_by"],
    )
    table = MemoryKeyTable()
    await table.add(SubjectId(ACCOUNT["subject"]), wrapped)
    keys = AesGcmSubjectKeys(table, bytes.fromhex(ACCOUNT["installation_key"]))

    assert await keys.open(created.sealed_username, USERNAME_FIELD) == ACCOUNT["username"]


class Change(NamedTuple):
    """One way in which a fact type may have come to its present form: how it was, and the step that brings it here."""

    event_type: str
    before: Callable[[RawFact], RawFact]
    upcast: Callable[[RawFact], RawFact]

    def codec(self) -> Codec:
        """The codec of the program that made the change."""
        step = Upcaster(event_type=self.event_type, from_version=1, to_version=2, upcast=self.upcast)
        return Codec([step], schema_versions={self.event_type: 2})

    def older(self, event: Encoded) -> Encoded:
        """The event as the program before the change recorded it."""
        event_type, version, payload = event
        if event_type != self.event_type:
            return event
        raw = msgspec.msgpack.decode(payload, type=dict[str, object])
        return event_type, version, msgspec.msgpack.encode(self.before(raw))


def renamed(raw: RawFact, old: str, new: str) -> RawFact:
    """The fact with one field under another name, in its place."""
    return {new if name == old else name: value for name, value in raw.items()}


def without(raw: RawFact, dropped: str) -> RawFact:
    """The fact without one field."""
    return {name: value for name, value in raw.items() if name != dropped}


CHANGES = {
    "a renamed field": Change(
        "order.filled",
        lambda raw: renamed(raw, "quantity", "size"),
        lambda raw: renamed(raw, "size", "quantity"),
    ),
    "a removed field": Change(
        "order.filled",
        lambda raw: {**raw, "fee_asset": "USDT"},
        lambda raw: without(raw, "fee_asset"),
    ),
    "a new required field": Change(
        "order.filled",
        lambda raw: without(raw, "liquidity"),
        lambda raw: {**raw, "liquidity": "taker"},
    ),
    "a field in another unit": Change(
        "capital.deposited",
        lambda raw: {**without(raw, "amount"), "cents": int(Decimal(str(raw["amount"])) * 100)},
        lambda raw: {**without(raw, "cents"), "amount": str(Decimal(str(raw["cents"])).scaleb(-2))},
    ),
}
"""Scenario V9: what a program may have done to a fact, each with the upcaster that it then ships."""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_life_from_before_a_change_folds_to_the_same_state(change: Change) -> None:
    older = [change.older(event) for event in LIFE.encoded]
    assert older != LIFE.encoded

    assert fold(decoded(change.codec(), older)) == fold(decoded(Codec(), LIFE.encoded))


@pytest.mark.parametrize("name", ["a renamed field", "a new required field", "a field in another unit"])
def test_without_the_upcaster_such_a_life_is_refused_and_not_misread(name: str) -> None:
    older = [CHANGES[name].older(event) for event in LIFE.encoded]
    with pytest.raises(msgspec.ValidationError):
        decoded(Codec(), older)


def test_a_removed_field_needs_no_upcaster() -> None:
    change = CHANGES["a removed field"]
    assert decoded(Codec(), [change.older(event) for event in LIFE.encoded]) == decoded(Codec(), LIFE.encoded)


def test_several_changes_one_after_another_are_made_up_for_in_their_order() -> None:
    """Version 1 said size and no liquidity, version 2 quantity and no liquidity, version 3 is ours; all are read."""
    rename, require = CHANGES["a renamed field"], CHANGES["a new required field"]
    steps = [
        Upcaster(event_type="order.filled", from_version=2, to_version=3, upcast=require.upcast),
        Upcaster(event_type="order.filled", from_version=1, to_version=2, upcast=rename.upcast),
    ]
    codec = Codec(steps, schema_versions={"order.filled": 3})
    forms = (lambda event: rename.older(require.older(event)), require.older, lambda event: event)
    mixed: list[Encoded] = []
    for number, event in enumerate(LIFE.encoded):
        event_type, _, payload = forms[number % 3](event)
        mixed.append((event_type, number % 3 + 1 if event_type == "order.filled" else 1, payload))

    assert {version for event_type, version, _ in mixed if event_type == "order.filled"} == {1, 2, 3}
    assert fold(decoded(codec, mixed)) == fold(decoded(Codec(), LIFE.encoded))


def test_a_program_that_forgot_a_step_does_not_start() -> None:
    with pytest.raises(InvalidUpcasters, match=r"order\.filled"):
        Codec(schema_versions={"order.filled": 2})


class OlderCodec(Codec):
    """The codec of the program before a change."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change = change

    def encode(self, fact: Fact) -> Encoded:
        """The fact as that program recorded it."""
        return self._change.older(super().encode(fact))


@pytest.mark.anyio
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_log_of_an_older_program_is_folded_by_the_newer_one_and_none_of_its_bytes_change(
    change: Change, pool: asyncpg.Pool
) -> None:
    facts = decoded(Codec(), LIFE.encoded)
    events = [NewEvent(event_id=new_event_id(), occurred_at=AT, fact=fact) for fact in facts]
    await PostgresEventLog(pool, OlderCodec(change)).append(STREAM, events, expected=NO_STREAM)
    before = await pool.fetch("SELECT * FROM log.events ORDER BY position")

    newer = PostgresEventLog(pool, change.codec())
    folded = await fold_stream(newer, DECIDER, STREAM)
    await newer.append(
        STREAM,
        [NewEvent(event_id=new_event_id(), occurred_at=AT, fact=CapitalDeposited(amount=Decimal(1)))],
        expected=folded.version,
    )

    assert folded.state == fold(facts)
    assert (await pool.fetch("SELECT * FROM log.events ORDER BY position"))[: len(facts)] == before
    versions = await pool.fetch("SELECT DISTINCT schema_version FROM log.events WHERE event_type = 'capital.deposited'")
    assert {row[0] for row in versions} == ({1, 2} if change.event_type == "capital.deposited" else {1})


@pytest.mark.anyio
async def test_an_older_program_is_told_where_a_newer_ones_facts_begin(pool: asyncpg.Pool) -> None:
    change = CHANGES["a renamed field"]
    fill = next(fact for fact in decoded(Codec(), LIFE.encoded) if isinstance(fact, OrderFilled))
    facts: list[BotFact] = [CapitalDeposited(amount=Decimal(1)), fill]
    events = [NewEvent(event_id=new_event_id(), occurred_at=AT, fact=fact) for fact in facts]
    await PostgresEventLog(pool, change.codec()).append(STREAM, events, expected=NO_STREAM)

    with pytest.raises(UndecodableFact) as refused:
        await fold_stream(PostgresEventLog(pool, Codec()), DECIDER, STREAM)
    assert (refused.value.position, refused.value.event_type) == (2, "order.filled")
