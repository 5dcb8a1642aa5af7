"""Secrets that are guessed first: nothing starts with one."""

from itertools import pairwise

PASSWORD_LENGTH_MIN = 16
DISTINCT_CHARACTERS_MIN = 8
DISTINCT_BYTES_MIN = 16

_KNOWN = (
    "admin", "changeme", "change-me", "default", "example", "letmein", "oxbot", "passwd", "password", "postgres",
    "qwerty", "root", "secret", "test", "0123456789", "0123", "1234", "5678", "abcd", "qwer",
)  # fmt: skip


def password_weakness(password: str) -> str | None:
    """Why a password that machines use with each other could be guessed; None for one that could not."""
    if len(password) < PASSWORD_LENGTH_MIN:
        return f"it has fewer than {PASSWORD_LENGTH_MIN} characters"
    if len(set(password)) < DISTINCT_CHARACTERS_MIN:
        return f"it has fewer than {DISTINCT_CHARACTERS_MIN} different characters"
    rest = password.lower()
    for word in _KNOWN:
        rest = rest.replace(word, "")
    if len(rest) < PASSWORD_LENGTH_MIN // 2:
        return "it is made of words that are guessed first"
    return None


def key_weakness(key: bytes) -> str | None:
    """Why bytes are no key that was drawn at random; None for those that may be."""
    steps = {(later - earlier) % 256 for earlier, later in pairwise(key)}
    if len(set(key)) < DISTINCT_BYTES_MIN or len(steps) < DISTINCT_BYTES_MIN // 2:
        return "it repeats itself, which no random key does; remove it for a new one"
    return None
