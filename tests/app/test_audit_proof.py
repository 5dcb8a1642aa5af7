"""Proofs of single events: made from any log, checked by anybody, and of nothing but what the log holds."""

import asyncpg
import msgspec
import pytest

from events.bot import BotPaused
from events.checkpoint import Checkpoint, SignerKey, sign_checkpoint
from events.codec import Codec
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.app.audit_proof import (
    Inclusion,
    NotSealed,
    ProofInvalid,
    Prover,
    UnknownPosition,
    check_inclusion,
)
from tests.app.sealed_log import SealedLog, lived_log, sealed_log

pytestmark = pytest.mark.anyio


def prover(log: SealedLog) -> Prover:
    return Prover(PostgresAuditedLog(log.pool, log.codec), log.tree, log.checkpoints)


async def proofs(pool: asyncpg.Pool) -> tuple[SealedLog, Inclusion]:
    log = await lived_log(pool)
    return log, await prover(log).prove(4)


async def test_every_sealed_event_is_proven_after_a_way_through_json(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    for position in range(1, 15):
        sent = msgspec.json.encode(await prover(log).prove(position))
        inclusion = msgspec.json.decode(sent, type=Inclusion)

        assert check_inclusion(inclusion, [log.key.verifier]) == await log.newest()
        assert inclusion.event.position == position
    assert Codec().decode("bot.paused", 1, inclusion.event.payload) == BotPaused(reason="lunch 0")


async def test_a_long_log_is_proven_from_kept_nodes(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1", 900)
    await log.sealer().seal()
    for position in (1, 256, 257, 600, 900):
        assert check_inclusion(await prover(log).prove(position), [log.key.verifier]).size == 900


async def test_an_event_is_proven_under_an_older_checkpoint_too(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    [first, *_] = await log.recorded()
    inclusion = await prover(log).prove(4, note=first.fact.note)

    assert check_inclusion(inclusion, [log.key.verifier]).size == 5


async def test_an_event_that_no_checkpoint_covers_is_not_proven_yet(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)

    with pytest.raises(NotSealed, match="covers 14 events, but not yet position 16"):
        await prover(log).prove(16)


async def test_a_log_without_a_checkpoint_proves_nothing_yet(pool: asyncpg.Pool) -> None:
    log = await sealed_log(pool)
    await log.append("bot-1")

    with pytest.raises(NotSealed, match="holds no checkpoint yet"):
        await prover(log).prove(1)


async def test_there_is_no_proof_of_an_event_that_is_not_there(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)

    with pytest.raises(UnknownPosition, match="no event at position 18"):
        await prover(log).prove(18)


async def test_a_changed_event_is_not_proven_by_whoever_holds_it(pool: asyncpg.Pool) -> None:
    log = await lived_log(pool)
    await log.attack("UPDATE log.events SET metadata = '\\x81' WHERE position = 4")

    with pytest.raises(ProofInvalid, match="not the one at position 4 under the checkpoint of 14 events"):
        await prover(log).prove(4)


@pytest.mark.parametrize(
    "change",
    [
        {"position": 5},
        {"stream": "bot-1"},
        {"version": 1},
        {"event_type": "bot.started"},
        {"schema_version": 2},
        {"payload": b"\x80"},
        {"metadata": b"\x80\x80"},
        {"prev_hash": bytes(32)},
    ],
)
async def test_no_field_of_a_proven_event_can_be_another(pool: asyncpg.Pool, change: dict[str, object]) -> None:
    log, inclusion = await proofs(pool)
    event = msgspec.structs.replace(inclusion.event, **change)

    with pytest.raises(ProofInvalid):
        check_inclusion(msgspec.structs.replace(inclusion, event=event), [log.key.verifier])


async def test_a_changed_path_proves_nothing(pool: asyncpg.Pool) -> None:
    log, inclusion = await proofs(pool)

    with pytest.raises(ProofInvalid):
        check_inclusion(msgspec.structs.replace(inclusion, path=inclusion.path[1:]), [log.key.verifier])


async def test_a_proof_counts_only_under_a_trusted_keys_checkpoint(pool: asyncpg.Pool) -> None:
    log, inclusion = await proofs(pool)
    stranger = SignerKey(log.key.verifier.name, bytes(32))
    newest = await log.newest()

    with pytest.raises(ProofInvalid, match="no trusted key"):
        check_inclusion(inclusion, [stranger.verifier])
    forged = sign_checkpoint(Checkpoint(newest.origin, newest.size, bytes(32)), log.key)
    with pytest.raises(ProofInvalid, match="not the one at position 4"):
        check_inclusion(msgspec.structs.replace(inclusion, checkpoint=forged), [log.key.verifier])
