"""Seals personal fields with AES-256-GCM under a key per person, each wrapped under the installation's own key."""

import hashlib
import secrets
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from uuid_utils import uuid7

from events.values import EncryptedText, SubjectId
from oxbot.adapters import key_file
from oxbot.app.personal import ERASED, Erased, PersonalKeyChanged, SealBroken, SubjectGone

FILE_NAME = "personal.key"
NONCE_BYTES = 12

PADDED_BYTES = 64
"""Texts are padded to a multiple of this, so that their length does not outlive them."""

logger = structlog.get_logger(__name__)


class WrappedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A person's key, encrypted under an installation key of which ``wrapped_by`` is the fingerprint."""

    key_id: str
    wrapped: bytes
    wrapped_by: str


class KeyTable(Protocol):
    """Wrapped keys by person; a person whose key was destroyed is remembered. Raises ``StoreUnavailable``."""

    async def add(self, subject: SubjectId, key: WrappedKey) -> WrappedKey | None:
        """Store the person's key unless there is or was one; answer the one that there is, None if it was destroyed."""
        ...

    async def find(self, subject: SubjectId) -> WrappedKey | None:
        """The person's key, None if there is none or it was destroyed."""
        ...

    async def destroy(self, subject: SubjectId, *, at: datetime) -> None:
        """Forget the key, and remember that there will never be another; again changes nothing."""
        ...

    async def erased_through(self) -> int:
        """What was noted last, 0 at first."""
        ...

    async def note_erased_through(self, position: int) -> None:
        """Note a position."""
        ...


class AesGcmSubjectKeys:
    """``SubjectKeys`` over a table. Keys are never held between two calls, so a destroyed one is gone everywhere.

    The installation key is a file beside the database's other secrets. Where it is lost, everything sealed until then
    reads as erased, which is what has happened to it; new people get keys under the new file, and whoever has an
    account still signs in. Where it was only mislaid (each machine that serves the API needs the same one) nothing is
    lost: put back, it opens everything again.
    """

    def __init__(self, table: KeyTable, installation_key: bytes) -> None:
        self._table = table
        self._cipher = AESGCM(installation_key)
        self._fingerprint = hashlib.sha256(b"oxbot installation key id:" + installation_key).hexdigest()[:12]

    def __repr__(self) -> str:
        """The installation key's fingerprint, never a key."""
        return f"AesGcmSubjectKeys(installation_key={self._fingerprint!r})"

    async def seal(self, subject: SubjectId, field: str, text: str) -> EncryptedText:
        """See ``SubjectKeys.seal``."""
        stored = await self._table.find(subject) or await self._table.add(subject, self._fresh(subject))
        if stored is None:
            raise SubjectGone(f"{subject} was erased")
        key = self._unwrap(subject, stored)
        if key is None:
            raise PersonalKeyChanged(
                f"the key of {subject} is wrapped under the installation key {stored.wrapped_by}, and {FILE_NAME} holds"
                f" {self._fingerprint}; put the right file back"
            )
        nonce = secrets.token_bytes(NONCE_BYTES)
        ciphertext = AESGCM(key).encrypt(nonce, _padded(text), _bound(subject, stored.key_id, field))
        return EncryptedText(subject=subject, key_id=stored.key_id, nonce=nonce, ciphertext=ciphertext)

    async def open(self, sealed: EncryptedText, field: str) -> str | Erased:
        """See ``SubjectKeys.open``."""
        stored = await self._table.find(sealed.subject)
        if stored is None or stored.key_id != sealed.key_id:
            return ERASED
        key = self._unwrap(sealed.subject, stored)
        if key is None:
            logger.warning(
                "installation_key_differs",
                subject=sealed.subject,
                wrapped_by=stored.wrapped_by,
                installation_key=self._fingerprint,
            )
            return ERASED
        bound = _bound(sealed.subject, sealed.key_id, field)
        return _unpadded(_decrypt(AESGCM(key), sealed.nonce, sealed.ciphertext, bound))

    async def destroy(self, subject: SubjectId, *, at: datetime) -> None:
        """See ``SubjectKeys.destroy``."""
        await self._table.destroy(subject, at=at)

    async def erased_through(self) -> int:
        """See ``SubjectKeys.erased_through``."""
        return await self._table.erased_through()

    async def note_erased_through(self, position: int) -> None:
        """See ``SubjectKeys.note_erased_through``."""
        await self._table.note_erased_through(position)

    def _fresh(self, subject: SubjectId) -> WrappedKey:
        key_id, nonce = uuid7().hex, secrets.token_bytes(NONCE_BYTES)
        wrapped = self._cipher.encrypt(nonce, AESGCM.generate_key(256), _bound(subject, key_id, ""))
        return WrappedKey(key_id=key_id, wrapped=nonce + wrapped, wrapped_by=self._fingerprint)

    def _unwrap(self, subject: SubjectId, stored: WrappedKey) -> bytes | None:
        """The person's key; None if it is wrapped under another installation key."""
        if stored.wrapped_by != self._fingerprint:
            return None
        nonce, wrapped = stored.wrapped[:NONCE_BYTES], stored.wrapped[NONCE_BYTES:]
        return _decrypt(self._cipher, nonce, wrapped, _bound(subject, stored.key_id, ""))


def installation_key(home: Path) -> bytes:
    """The key in ``home`` that wraps people's keys, made if there is none. Raises ``KeyFileUnusable``."""
    return key_file.load_or_create(home / FILE_NAME)


def _bound(subject: SubjectId, key_id: str, field: str) -> bytes:
    """The associated data: a value moved to another person, key or field does not open."""
    return msgspec.msgpack.encode(("oxbot personal field 1", subject, key_id, field))


def _decrypt(cipher: AESGCM, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, ciphertext, bound)
    except (InvalidTag, ValueError) as error:
        raise SealBroken("a sealed value is not what was sealed") from error


def _padded(text: str) -> bytes:
    content = text.encode() + b"\x80"
    return content + bytes(-len(content) % PADDED_BYTES)


def _unpadded(content: bytes) -> str:
    return content.rstrip(b"\x00")[:-1].decode()
