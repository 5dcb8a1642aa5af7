"""What a process needs in order to answer for what is recorded about people."""

from pathlib import Path

from oxbot.adapters.aes_gcm_subject_keys import AesGcmSubjectKeys, installation_key
from oxbot.adapters.postgres_accounts import PostgresCredentials
from oxbot.adapters.postgres_subject_keys import PostgresKeyTable
from oxbot.app.clock import SystemClock
from oxbot.app.privacy import Privacy
from oxbot.wiring.stores import Stores


def subject_keys(stores: Stores, home: Path) -> AesGcmSubjectKeys:
    """People's keys, wrapped under the key in ``home``. Raises ``KeyFileUnusable``."""
    return AesGcmSubjectKeys(PostgresKeyTable(stores.pool), installation_key(home))


def privacy(stores: Stores, home: Path, *, actor: str) -> Privacy:
    """The use cases over these stores, in the name of ``actor``. Raises ``KeyFileUnusable``."""
    credentials = PostgresCredentials(stores.pool)
    return Privacy(stores.log, subject_keys(stores, home), credentials, now=SystemClock().now, actor=actor)
