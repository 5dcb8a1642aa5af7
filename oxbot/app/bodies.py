"""The port to the store of bodies: prompts, answers and news texts, each kept once under its SHA-256."""

from hashlib import sha256
from typing import Protocol

from events.errors import OxbotError
from events.identifiers import BodyHash

BODY_BYTES_MAX = 4 << 20


class BodyMissing(OxbotError):
    """No body is kept under that hash."""

    def __init__(self, body: BodyHash) -> None:
        super().__init__(f"body {body} is not in the store")
        self.body = body


class BodyTooLarge(OxbotError):
    """A body of more than ``BODY_BYTES_MAX`` bytes; it was not kept."""

    def __init__(self, size: int) -> None:
        super().__init__(f"a body of {size} bytes; at most {BODY_BYTES_MAX} are kept")
        self.size = size


class BodyStore(Protocol):
    """Bodies by content, append-only: what a hash stands for never changes and never goes."""

    async def put(self, data: bytes) -> BodyHash:
        """Keep the body, durably, unless it is kept already; answer its hash. Raises ``BodyTooLarge``."""
        ...

    async def get(self, body: BodyHash) -> bytes:
        """The body. Raises ``BodyMissing``."""
        ...


def body_hash(data: bytes) -> BodyHash:
    """The hash under which the body is kept."""
    return BodyHash(sha256(data).hexdigest())


def check_size(data: bytes) -> None:
    """Raise ``BodyTooLarge`` for a body that no store keeps."""
    if len(data) > BODY_BYTES_MAX:
        raise BodyTooLarge(len(data))
