"""What an account at a venue is opened with: an API key and what belongs to it, never shown."""

import hashlib

import msgspec

from oxbot.config import Secret

FINGERPRINT_CHARACTERS = 8


class VenueCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, its secret, and the password that some venues ask for beside them."""

    api_key: Secret
    secret: Secret
    password: Secret | None = None

    @property
    def fingerprint(self) -> str:
        """By which people and facts name the key, since the key itself is not shown."""
        return hashlib.sha256(self.api_key.reveal().encode()).hexdigest()[:FINGERPRINT_CHARACTERS]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not be seen anywhere."""
        held = (self.api_key, self.secret, self.password)
        return tuple(secret.reveal() for secret in held if secret is not None)
