"""The facts of what strangers try and of the keys that tokens are signed with; never a name, address or secret."""

from typing import Literal

from events.identifiers import StreamId
from events.values import Timestamp, Value

SECURITY_STREAM = StreamId("security")

Attempt = Literal["sign_in_throttled", "unknown_name", "refresh_unknown", "refresh_throttled", "cross_site_refresh"]
"""``sign_in_throttled``: turned away before the password was looked at. ``unknown_name``: there is no such account.
``refresh_unknown``: a refresh token that is nobody's. ``cross_site_refresh``: another site had a browser send it."""


class AttemptsRefused(Value, frozen=True, kw_only=True, tag="security.attempts_refused"):
    """So many attempts of one kind were refused by one process, from so many addresses (both counts may be capped)."""

    attempt: Attempt
    attempts: int
    addresses: int
    since: Timestamp
    until: Timestamp


class SigningKeyRotated(Value, frozen=True, kw_only=True, tag="security.signing_key_rotated"):
    """Access tokens are signed with another key; what ``retired`` signed is good until it expires, or not at all."""

    key_id: str
    retired: str
    at_once: bool = False


SecurityFact = AttemptsRefused | SigningKeyRotated
