"""Checkpoints of the log as C2SP writes them: the tree's size and root as text, signed as a note with Ed25519."""

import base64
import binascii
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from events.errors import OxbotError

ROOT_BYTES = 32
KEY_BYTES = 32

_ED25519 = b"\x01"
_ID_BYTES = 4
_MARK = "\u2014 "
_TEXT_LINES_MIN = 3
_SIZE_DIGITS_MAX = 19


class CheckpointInvalid(OxbotError):
    """A text is no checkpoint, or is not signed by a key that is trusted; the text says which."""


class Checkpoint(NamedTuple):
    """The root over the first ``size`` events of the log that ``origin`` names."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(log_id: UUID) -> str:
    """The one line that names a log in its checkpoints, and the signer of them."""
    return f"oxbot/{log_id}"


class VerifierKey(NamedTuple):
    """The public half of a signer's key, under the signer's name."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key from its one-line form, ``name+id+key``. Raises ``CheckpointInvalid``."""
        name, _, rest = text.strip().partition("+")
        identifier, _, encoded = rest.partition("+")
        raw = _decoded(encoded)
        if raw is None or len(raw) != 1 + KEY_BYTES or not raw.startswith(_ED25519):
            raise CheckpointInvalid(f"{text.strip()!r} is no verifier key of the form name+id+key for Ed25519")
        _check_name(name)
        key = cls(name, raw[1:])
        if key.identifier().hex() != identifier.lower():
            raise CheckpointInvalid(f"the verifier key of {name} has the id {key.identifier().hex()}, not {identifier}")
        return key

    def identifier(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.identifier().hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"


class SignerKey:
    """A private key under a name; the same text signed twice gives the same note."""

    def __init__(self, name: str, secret: bytes) -> None:
        _check_name(name)
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The text as a signed note."""
        signature = base64.b64encode(self.verifier.identifier() + self._key.sign(text.encode())).decode()
        return f"{text}\n{_MARK}{self.verifier.name} {signature}\n"


def sign_checkpoint(checkpoint: Checkpoint, key: SignerKey) -> str:
    """The checkpoint as a signed note."""
    return key.sign(checkpoint.text())


def open_checkpoint(note: str, trusted: Iterable[VerifierKey]) -> Checkpoint:
    """The checkpoint in a note that one of the trusted keys signed. Raises ``CheckpointInvalid``."""
    return parse_checkpoint(open_note(note, trusted))


def read_unverified(note: str) -> Checkpoint:
    """The checkpoint in a note, whoever signed it. Raises ``CheckpointInvalid`` for what is none."""
    return parse_checkpoint(_taken_apart(note)[0])


def is_signed_by(note: str, key: VerifierKey) -> bool:
    """Whether the note says that this key signed it; whether it did is for ``open_note`` to find."""
    return any(one[:2] == (key.name, key.identifier()) for one in _taken_apart(note)[1])


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint from its text; lines after the third are extensions and are left alone."""
    lines = text.split("\n")
    if len(lines) <= _TEXT_LINES_MIN or lines[-1]:
        raise CheckpointInvalid("a checkpoint has three lines: origin, size and root")
    origin, size, encoded, *extensions = lines[:-1]
    root = _decoded(encoded)
    if not origin or not all(extensions):
        raise CheckpointInvalid("a checkpoint has an empty line")
    if not (size.isascii() and size.isdigit() and len(size) <= _SIZE_DIGITS_MAX) or (len(size) > 1 and size[0] == "0"):
        raise CheckpointInvalid(f"{size!r} is no size of a tree")
    if root is None or len(root) != ROOT_BYTES:
        raise CheckpointInvalid(f"{encoded!r} is no root of a tree: 32 bytes in base64")
    return Checkpoint(origin, int(size), root)


def open_note(note: str, trusted: Iterable[VerifierKey]) -> str:
    """The text of a note that at least one trusted key signed; no signature of a trusted key may be wrong."""
    text, signatures = _taken_apart(note)
    keys = {(key.name, key.identifier()): key for key in trusted}
    known = False
    for name, identifier, signature in signatures:
        key = keys.get((name, identifier))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
        except InvalidSignature as error:
            raise CheckpointInvalid(f"the signature of {name} is wrong: the text is not what was signed") from error
        known = True
    if not known:
        signers = ", ".join(f"{name}+{identifier.hex()}" for name, identifier, _ in signatures)
        raise CheckpointInvalid(f"the checkpoint is signed by {signers}, which is no trusted key")
    return text


class _Signature(NamedTuple):
    name: str
    identifier: bytes
    signature: bytes


def _taken_apart(note: str) -> tuple[str, list[_Signature]]:
    if any(character < " " and character != "\n" for character in note):
        raise CheckpointInvalid("a signed note holds no control characters")
    head, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise CheckpointInvalid("a signed note is a text, an empty line and lines of signatures")
    return head + "\n", [_signature(line) for line in tail[:-1].split("\n")]


def _signature(line: str) -> _Signature:
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    raw = _decoded(encoded)
    if not line.startswith(_MARK) or not name or raw is None or len(raw) <= _ID_BYTES:
        raise CheckpointInvalid(f"{line!r} is no line of a signature")
    return _Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def _decoded(text: str) -> bytes | None:
    """What the base64 text stands for, if it is written in the one standard way."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise CheckpointInvalid(f"{name!r} is no name of a signer: it may hold no space and no plus")
