"""Access tokens: what is accepted, and everything that is not."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from oxbot.api.tokens import LIFETIME, InvalidToken, SignedIn, Tokens, WeakKey
from oxbot.core.account import UserId

KEY = bytes(range(32))
WHO = SignedIn(UserId("u-1"), "trader")
TOKENS = Tokens(KEY, "k-1")


def claims(**changes: object) -> dict[str, object]:
    """Good claims with changes; a change to None leaves the claim out."""
    issued = int(datetime.now(UTC).timestamp())
    given = {"sub": "u-1", "role": "viewer", "iat": issued, "exp": issued + 900, "iss": "oxbot"} | changes
    return {name: value for name, value in given.items() if value is not None}


def signed(given: dict[str, object], *, key: bytes = KEY, algorithm: str = "HS256", kid: str | None = "k-1") -> str:
    """A token that somebody else made."""
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def test_an_issued_token_says_who_it_is_of() -> None:
    assert TOKENS.verify(TOKENS.issue(WHO, at=datetime.now(UTC))) == WHO


def test_a_token_by_any_other_maker_with_the_same_key_is_as_good() -> None:
    assert TOKENS.verify(signed(claims())) == SignedIn(UserId("u-1"), "viewer")


def test_a_token_is_good_for_fifteen_minutes() -> None:
    now = datetime.now(UTC)

    assert timedelta(minutes=15) == LIFETIME
    assert TOKENS.verify(TOKENS.issue(WHO, at=now - timedelta(minutes=14))) == WHO
    with pytest.raises(InvalidToken):
        TOKENS.verify(TOKENS.issue(WHO, at=now - timedelta(minutes=15, seconds=30)))


@pytest.mark.parametrize("claim", ["sub", "role", "iat", "exp", "iss"])
def test_a_token_without_a_claim_is_refused(claim: str) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.verify(signed(claims(**{claim: None})))


@pytest.mark.parametrize(
    "change", [{"iss": "else"}, {"role": "root"}, {"role": None}, {"iat": 4102444800}, {"exp": "never"}, {"sub": 7}]
)
def test_a_token_with_a_wrong_claim_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.verify(signed(claims(**change)))


@pytest.mark.parametrize("kid", ["k-2", None])
def test_a_token_under_another_key_id_is_refused(kid: str | None) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.verify(signed(claims(), kid=kid))


def test_a_token_under_another_key_is_refused() -> None:
    with pytest.raises(InvalidToken):
        TOKENS.verify(signed(claims(), key=bytes(32)))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_with_the_same_key_is_refused(algorithm: str) -> None:
    key = bytes(range(64))

    assert Tokens(key, "k-1").verify(signed(claims(), key=key))
    with pytest.raises(InvalidToken):
        Tokens(key, "k-1").verify(signed(claims(), key=key, algorithm=algorithm))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(algorithm: str) -> None:
    def part(content: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    header: dict[str, object] = {"alg": algorithm, "typ": "JWT", "kid": "k-1"}
    with pytest.raises(InvalidToken):
        TOKENS.verify(f"{part(header)}.{part(claims(role='admin'))}.")


def test_a_changed_token_is_refused() -> None:
    header, _, signature = TOKENS.issue(WHO, at=datetime.now(UTC)).split(".")
    payload = signed(claims(role="admin"), key=bytes(32)).split(".")[1]

    with pytest.raises(InvalidToken):
        TOKENS.verify(f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "\x00", "é.é.é"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.verify(text)


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_short_key_is_refused(length: int) -> None:
    with pytest.raises(WeakKey):
        Tokens(bytes(length))


def test_the_key_id_follows_from_the_key_and_neither_shows_it() -> None:
    assert repr(Tokens(KEY)) == repr(Tokens(KEY)) != repr(Tokens(bytes(32)))
    assert KEY.hex()[:8] not in repr(Tokens(KEY))
