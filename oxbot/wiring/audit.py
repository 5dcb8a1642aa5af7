"""What an auditor needs: the log as it is stored, its tree, its checkpoints, and what is kept outside of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec

from events.checkpoint import Checkpoint, VerifierKey, open_checkpoint, read_unverified
from events.codec import Codec
from oxbot.adapters.archived_audit import ArchivedAudit, ArchivedTree
from oxbot.adapters.checkpoint_key import existing_key, last_checkpoint, signer_key
from oxbot.adapters.postgres_audit import PostgresAuditedLog
from oxbot.adapters.postgres_tree import PostgresCheckpoints, PostgresTree
from oxbot.app.audit_proof import Prover
from oxbot.app.audit_verify import Verifier
from oxbot.config import Settings
from oxbot.wiring.archive import archive
from oxbot.wiring.database import open_unmigrated
from oxbot.wiring.stores import Stores, open_stores

CONNECTIONS = 3


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One log under audit, and the installation's own key and last checkpoint, which the database cannot change."""

    log_id: UUID
    home: Path
    log: ArchivedAudit
    tree: ArchivedTree
    checkpoints: PostgresCheckpoints

    def keys(self, given: Sequence[str]) -> list[VerifierKey]:
        """The trusted keys: those given, else the installation's own if it has one."""
        if given:
            return [VerifierKey.parse(key) for key in given]
        own = existing_key(self.home, self.log_id)
        return [] if own is None else [own.verifier]

    def key(self) -> VerifierKey:
        """The installation's own key, made now if there is none."""
        return signer_key(self.home, self.log_id).verifier

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
    """The installation's log, from its first event on, only to be read. Raises what opening the stores raises."""
    settings.home.mkdir(parents=True, exist_ok=True)
    async with (
        open_unmigrated(settings) as database,
        open_stores(database, "oxbot_operator", name="audit", connections=CONNECTIONS) as stores,
    ):
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
