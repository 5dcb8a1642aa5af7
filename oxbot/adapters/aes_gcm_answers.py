"""Answers that hold secrets, sealed with AES-256-GCM under a key that takes the request and the server to make."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from oxbot.app.idempotency import AnswerSeal
from oxbot.app.sessions import ServerSecrets

NONCE_BYTES = 12

_LABEL = b"oxbot idempotent answers 1"


class Stretch(Protocol):
    """Makes a key of what people choose."""

    async def stretch(self, password: str, *, salt: bytes) -> bytes:
        """32 bytes, as costly to find by guessing as the password is by its hash."""
        ...


class AesGcmAnswers:
    """Implements ``AnswerSeals``.

    Of a request with a password in it, not even a fast hash is kept: what the store holds to know it again is as costly
    to guess at as the password's own hash. The answer is encrypted under that and a secret of the server's, so that the
    store alone gives away nothing, and nobody but whoever makes the request again is given it.
    """

    def __init__(self, passwords: Stretch, server_secrets: ServerSecrets) -> None:
        self._passwords = passwords
        self._server_secrets = server_secrets

    async def of(self, user_id: str, key: str, content: str, *, guessable: bool) -> AnswerSeal:
        """See ``AnswerSeals.of``."""
        named = hashlib.sha256(msgspec.msgpack.encode((_LABEL, user_id, key))).digest()
        if guessable:
            own = await self._passwords.stretch(content, salt=named)
        else:
            own = hmac.digest(named, content.encode("utf-8", "surrogatepass"), "sha256")
        keys = [hmac.digest(hmac.digest(secret, _LABEL, "sha256"), own, "sha256") for secret in self._server_secrets()]
        return _Seal(named, own, keys)


class _Seal:
    """One request's."""

    def __init__(self, named: bytes, own: bytes, keys: Sequence[bytes]) -> None:
        self.fingerprint = hmac.digest(own, b"the same request", "sha256")
        self._named = named
        self._keys = keys

    def close(self, answer: bytes) -> bytes:
        """See ``AnswerSeal.close``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._keys[0]).encrypt(nonce, answer, self._named)

    def open(self, sealed: bytes) -> bytes | None:
        """See ``AnswerSeal.open``."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        for key in self._keys:
            try:
                return AESGCM(key).decrypt(nonce, ciphertext, self._named)
            except InvalidTag:
                continue
        return None
