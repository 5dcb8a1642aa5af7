"""Access tokens: who somebody is, what they may do and by which session, signed, for fifteen minutes."""

import base64
import binascii
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import jwt
import msgspec

from events.errors import OxbotError
from events.user import Role, Scope
from oxbot.core.account import UserId

KEY_BYTES_MIN = 32
DISTINCT_BYTES_MIN = 16
"""Of 32 random bytes, fewer than 16 different ones come once in ten to the power of 17 keys."""

LIFETIME = timedelta(minutes=15)
CLOCK_SKEW = timedelta(seconds=5)
"""So far ahead may the clock of the one that signed be; it makes no token good beyond its ``exp``."""

ISSUER = "oxbot"
REMEMBERED_MAX = 10_000
"""Of how many tokens it is remembered that they are good."""

_ALGORITHM = "HS256"
_INVALID = "the access token is not valid"


class WeakKey(OxbotError):
    """A signing key that could be guessed; nothing starts with it."""


class InvalidToken(OxbotError):
    """A token that is malformed, expired, or not signed by us; the text does not say which."""


class SignedIn(NamedTuple):
    """Who makes a request, by a session, or by an API token.

    role: what they may do now; by an API token, the lower of the account's role and of what its scopes need.
    version: how far the account's stream had come when this was found out.
    scopes: None by a session, which may do all that the role may.
    expires_at: from when on it is not good any more.
    """

    user_id: UserId
    role: Role
    session: str = ""
    version: int = 0
    scopes: frozenset[Scope] | None = None
    token_id: str = ""
    expires_at: datetime | None = None

    @property
    def means(self) -> str:
        """The id of the session or API token by which the request is made."""
        return self.token_id or self.session


class SigningKey(NamedTuple):
    """A key by the name that is in the header of what it signs; a retired one signed nothing after ``retired_at``."""

    key: bytes
    kid: str
    retired_at: datetime | None = None

    def __repr__(self) -> str:
        """The key's name, never the key."""
        return f"SigningKey(kid={self.kid!r}, retired_at={self.retired_at!r})"


class SigningKeys(NamedTuple):
    """The key that signs, and those that signed what may still be good."""

    current: SigningKey
    retired: tuple[SigningKey, ...] = ()


KeySource = Callable[[], SigningKeys]
"""Asked each time, so that a rotation counts from the next request on."""


def signing_key(key: bytes, kid: str | None = None, *, retired_at: datetime | None = None) -> SigningKey:
    """The key, by default named after its digest. Raises ``WeakKey`` for one that is short or not random."""
    if len(key) < KEY_BYTES_MIN:
        raise WeakKey(f"a signing key needs at least {KEY_BYTES_MIN} bytes, not {len(key)}")
    if len(set(key)) < DISTINCT_BYTES_MIN:
        raise WeakKey("the signing key is not random; remove its file, and another is made")
    name = kid or hashlib.sha256(b"oxbot signing key id:" + key).hexdigest()[:12]
    return SigningKey(key, name, retired_at)


def one_key(key: bytes, kid: str | None = None) -> KeySource:
    """A source of one key for ever. Raises ``WeakKey``."""
    keys = SigningKeys(signing_key(key, kid))
    return lambda: keys


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    sub: UserId
    role: Role
    sid: str
    ver: int
    iat: int
    exp: int
    iss: str


class _Verified(NamedTuple):
    keys: SigningKeys
    good_before: float
    who: SignedIn


class Tokens:
    """Issues tokens under the current key and verifies them under it and those that it took the place of."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._verified: dict[bytes, _Verified] = {}

    def __repr__(self) -> str:
        """The keys' names, never the keys."""
        return f"Tokens({self._keys()!r})"

    def issue(self, who: SignedIn, *, at: datetime) -> str:
        """A token that is good from ``at`` for ``LIFETIME``."""
        current = self._keys().current
        issued = int(at.timestamp())
        claims = {
            "sub": who.user_id,
            "role": who.role,
            "sid": who.session,
            "ver": who.version,
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "iss": ISSUER,
        }
        return jwt.encode(claims, current.key, algorithm=_ALGORITHM, headers={"kid": current.kid})

    def verify(self, token: str) -> SignedIn:
        """Whose token it is. Raises ``InvalidToken`` unless algorithm, key, issuer, times, role and spelling are right.

        One that was good before is looked up by its digest, under the same keys and until it expires.
        """
        keys, digest = self._keys(), hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        known = self._verified.get(digest)
        if known is not None and known.keys is keys and time.time() < known.good_before:
            return known.who
        who, good_before = self._verify(token)
        if len(self._verified) >= REMEMBERED_MAX:
            self._verified.clear()
        self._verified[digest] = _Verified(keys, good_before, who)
        return who

    def _verify(self, token: str) -> tuple[SignedIn, float]:
        if not _canonical(token):
            raise InvalidToken(_INVALID)
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            payload = jwt.decode(
                token,
                key.key,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                # The library has one leeway for all times; that of ``iat`` is below.
                options={"require": ["sub", "role", "sid", "ver", "iat", "exp", "iss"], "verify_iat": False},
            )
            claims = msgspec.convert(payload, _Claims)
            expires_at = datetime.fromtimestamp(claims.exp, UTC)
        except (jwt.InvalidTokenError, msgspec.ValidationError, OverflowError, ValueError, OSError) as error:
            raise InvalidToken(_INVALID) from error
        ahead = claims.iat > time.time() + CLOCK_SKEW.total_seconds()
        if ahead or claims.exp - claims.iat > LIFETIME.total_seconds() or _signed_too_late(key, claims.iat):
            raise InvalidToken(_INVALID)
        who = SignedIn(claims.sub, claims.role, claims.sid, claims.ver, expires_at=expires_at)
        return who, float(claims.exp)

    def _key(self, kid: object) -> SigningKey:
        keys = self._keys()
        found = next((key for key in (keys.current, *keys.retired) if key.kid == kid), None)
        if found is None:
            raise InvalidToken(_INVALID)
        return found


def _canonical(token: str) -> bool:
    """Whether its three parts are spelled as whoever encodes them does; others would be read as the same bytes."""
    parts = token.split(".")
    return len(parts) == 3 and all(map(_spelled, parts))  # noqa: PLR2004


def _spelled(part: str) -> bool:
    try:
        content = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode() == part


def _signed_too_late(key: SigningKey, issued: int) -> bool:
    """Whether a retired key seems to have signed it after its time, as only a thief would have it do."""
    return key.retired_at is not None and issued > (key.retired_at + CLOCK_SKEW).timestamp()
