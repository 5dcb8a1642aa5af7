"""What an auditor needs: the log as it is stored, its tree, its checkpoints, and what is kept outside of them."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec

from events.checkpoint import Checkpoint, VerifierKey, open_checkpoint, read_unverified
from events.codec import Codec
from events.errors import LogDamaged, OxbotError
from oxbot.adapters.archived_audit import ArchivedAudit, ArchivedTree
from oxbot.adapters.checkpoint_key import existing_key, last_checkpoint
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_tree import PostgresCheckpoints, PostgresTree
from oxbot.app.audit_proof import Prover
from oxbot.app.audit_verify import Verifier
from oxbot.config import Settings
from oxbot.wiring.archive import archive
from oxbot.wiring.database import open_unmigrated
from oxbot.wiring.stores import Stores, open_stores

CONNECTIONS = 3

_FLOOR = "SELECT coalesce(max(last_position), 0) + 1 FROM log.archives"


class NoKey(OxbotError):
    """The installation has no key of its own."""


class LogIncomplete(LogDamaged):
    """Something that every log is made of is missing: the first position that cannot be vouched for is ``position``."""

    def __init__(self, what: str, position: int) -> None:
        super().__init__(what)
        self.position = position


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One log under audit, and the installation's own key and last checkpoint, which the database cannot change."""

    log_id: UUID
    home: Path
    log: ArchivedAudit
    tree: ArchivedTree
    checkpoints: PostgresCheckpoints

    async def keys(self, given: Sequence[str]) -> list[VerifierKey]:
        """The trusted keys: those given, else the installation's own, if it ever signed a checkpoint of this log."""
        if given:
            return [VerifierKey.parse(key) for key in given]
        own = existing_key(self.home, self.log_id)
        return [] if own is None or await self.remembered() is None else [own.verifier]

    def key(self) -> VerifierKey:
        """The installation's own key. Raises ``NoKey``."""
        own = existing_key(self.home, self.log_id)
        if own is None:
            raise NoKey(f"there is no key in {self.home}: oxbot up makes one when it first signs a checkpoint")
        return own.verifier

    async def remembered(self) -> Checkpoint | None:
        """The last checkpoint that was signed here."""
        note = await last_checkpoint(self.home, self.log_id).last()
        return None if note is None else read_unverified(note)

    def verifier(self, keys: Sequence[VerifierKey]) -> Verifier:
        """Verifies the log."""
        return Verifier(self.log, self.tree, Codec(), keys=keys)

    def prover(self) -> Prover:
        """Proves single events."""
        return Prover(self.log, self.tree, self.checkpoints)


@asynccontextmanager
async def open_audit(settings: Settings) -> AsyncIterator[Audit]:
    """The installation's log, from its first event on, only to be read.

    Raises what opening the stores raises, and ``LogIncomplete`` if the log lacks a table.
    """
    async with (
        open_unmigrated(settings) as database,
        open_stores(database, "oxbot_operator", name="audit", connections=CONNECTIONS) as stores,
    ):
        try:
            async with _audit(stores, settings) as audit:
                yield audit
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedFunctionError) as error:
            raise LogIncomplete(_missing(str(error)), await _floor(stores)) from error
        except OverflowError as error:
            raise LogDamaged("a time in the log is one that no event can have; see oxbot audit verify") from error


@asynccontextmanager
async def _audit(stores: Stores, settings: Settings) -> AsyncIterator[Audit]:
    codec, cold = Codec(), archive(stores, settings.archive)
    checkpoints, log = PostgresCheckpoints(stores.pool, codec), PostgresAuditedLog(stores.pool, codec)
    async with log.held():
        yield Audit(
            log_id=await checkpoints.log_id(),
            home=settings.home,
            log=ArchivedAudit(log, cold, codec),
            tree=ArchivedTree(PostgresTree(stores.pool), cold),
            checkpoints=checkpoints,
        )


def _missing(said: str) -> str:
    table = re.match(r'relation "(.+)" does not exist', said)
    return f"the log's table {table[1]} is missing" if table else f"the log is not whole: {said}"


async def _floor(stores: Stores) -> int:
    """The first position that the database has to answer for."""
    with suppress(asyncpg.PostgresError):
        floor: int = await stores.pool.fetchval(_FLOOR)
        return floor
    return 1


def prover(stores: Stores, directory: Path | None) -> Prover:
    """Proves single events over stores that are open, also those that have left the database for this archive."""
    codec = Codec()
    log, tree = PostgresAuditedLog(stores.pool, codec), PostgresTree(stores.pool)
    checkpoints = PostgresCheckpoints(stores.pool, codec)
    if directory is None:
        return Prover(log, tree, checkpoints)
    cold = archive(stores, directory)
    return Prover(ArchivedAudit(log, cold, codec), ArchivedTree(tree, cold), checkpoints)


def trusted_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """A checkpoint that somebody kept; where keys are known, one of them must have signed it."""
    return open_checkpoint(note, keys) if keys else read_unverified(note)
