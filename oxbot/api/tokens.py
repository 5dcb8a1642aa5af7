"""Access tokens: who somebody is and what they may do, signed, for fifteen minutes."""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

import jwt
import msgspec

from events.errors import OxbotError
from events.user import Role
from oxbot.core.account import UserId

KEY_BYTES_MIN = 32
LIFETIME = timedelta(minutes=15)
ISSUER = "oxbot"

_ALGORITHM = "HS256"
_CLOCK_SKEW = timedelta(seconds=5)


class WeakKey(OxbotError):
    """A signing key that could be guessed; nothing starts with it."""


class InvalidToken(OxbotError):
    """A token that is malformed, expired, or not signed by us; the text does not say which."""


class SignedIn(NamedTuple):
    """Who makes a request."""

    user_id: UserId
    role: Role


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    sub: UserId
    role: Role
    iat: int
    exp: int
    iss: str


class Tokens:
    """Issues and verifies tokens under one key; ``kid`` names it, by default after its digest.

    Raises ``WeakKey`` for a key of less than 32 bytes.
    """

    def __init__(self, key: bytes, kid: str | None = None) -> None:
        if len(key) < KEY_BYTES_MIN:
            raise WeakKey(f"a signing key needs at least {KEY_BYTES_MIN} bytes, not {len(key)}")
        self._key = key
        self._kid = kid or hashlib.sha256(b"oxbot signing key id:" + key).hexdigest()[:12]

    def __repr__(self) -> str:
        """The key's name, never the key."""
        return f"Tokens(kid={self._kid!r})"

    def issue(self, who: SignedIn, *, at: datetime) -> str:
        """A token that is good from ``at`` for ``LIFETIME``."""
        issued = int(at.timestamp())
        claims = {
            "sub": who.user_id,
            "role": who.role,
            "iat": issued,
            "exp": issued + int(LIFETIME.total_seconds()),
            "iss": ISSUER,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._kid})

    def verify(self, token: str) -> SignedIn:
        """Whose token it is. Raises ``InvalidToken`` unless algorithm, key, issuer, times and role are right."""
        try:
            if jwt.get_unverified_header(token).get("kid") != self._kid:
                raise InvalidToken("the access token is not valid")
            payload = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                leeway=_CLOCK_SKEW,
                options={"require": ["sub", "role", "iat", "exp", "iss"]},
            )
            claims = msgspec.convert(payload, _Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise InvalidToken("the access token is not valid") from error
        return SignedIn(claims.sub, claims.role)
