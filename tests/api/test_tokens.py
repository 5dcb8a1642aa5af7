"""Access tokens: what is accepted, and everything that is not."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from oxbot.api.tokens import LIFETIME, InvalidToken, SignedIn, SigningKeys, Tokens, WeakKey, one_key, signing_key
from oxbot.core.account import UserId

KEY, OTHER_KEY = bytes(range(32)), bytes(range(32, 64))
WHO = SignedIn(UserId("u-1"), "trader", "s-1", 3)
TOKENS = Tokens(one_key(KEY, "k-1"))


def claims(**changes: object) -> dict[str, object]:
    """Good claims with changes; a change to None leaves the claim out."""
    issued = int(datetime.now(UTC).timestamp())
    given = {"sub": "u-1", "role": "viewer", "sid": "s-1", "ver": 3, "iat": issued, "exp": issued + 900, "iss": "oxbot"}
    given |= changes
    return {name: value for name, value in given.items() if value is not None}


def signed(given: dict[str, object], *, key: bytes = KEY, algorithm: str = "HS256", kid: str | None = "k-1") -> str:
    """A token that somebody else made."""
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def test_an_issued_token_says_who_it_is_of() -> None:
    at = datetime.now(UTC)
    expires_at = at.replace(microsecond=0) + LIFETIME

    assert TOKENS.verify(TOKENS.issue(WHO, at=at)) == WHO._replace(expires_at=expires_at)
    assert TOKENS.verify(TOKENS.issue(WHO, at=at)).means == "s-1"


def test_a_token_by_any_other_maker_with_the_same_key_is_as_good() -> None:
    assert TOKENS.verify(signed(claims()))[:5] == (UserId("u-1"), "viewer", "s-1", 3, None)


def test_a_token_is_good_for_fifteen_minutes() -> None:
    now = datetime.now(UTC)

    assert timedelta(minutes=15) == LIFETIME
    assert TOKENS.verify(TOKENS.issue(WHO, at=now - timedelta(minutes=14))).user_id == "u-1"
    with pytest.raises(InvalidToken):
        TOKENS.verify(TOKENS.issue(WHO, at=now - timedelta(minutes=15, seconds=30)))


@pytest.mark.parametrize("seconds", [0, 1, 4])
def test_a_token_is_good_for_no_second_beyond_its_time(seconds: int) -> None:
    over = int(datetime.now(UTC).timestamp()) - seconds

    with pytest.raises(InvalidToken):
        TOKENS.verify(signed(claims(iat=over - 900, exp=over)))


def test_a_clock_that_is_a_little_ahead_signs_what_is_good() -> None:
    now = int(datetime.now(UTC).timestamp())

    assert TOKENS.verify(signed(claims(iat=now + 3, exp=now + 903))).user_id == "u-1"
    with pytest.raises(InvalidToken):
        TOKENS.verify(signed(claims(iat=now + 20, exp=now + 30)))


def test_no_other_spelling_of_a_token_is_one() -> None:
    token = TOKENS.issue(WHO, at=datetime.now(UTC))
    head, payload, signature = token.split(".")
    # The last of 43 characters holds two bits that say nothing.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters[letters.index(signature[-1]) ^ 1]
    spellings = [
        f"{token}=", f"{token}==", f"{token}\n", f" {token}", f"{head}=.{payload}.{signature}",
        f"{head}.{payload}=.{signature}", f"{head}.{payload}.{signature[:-1]}{last}", f"{head}.{payload}.{signature}.",
        f"{head}.{payload}.{signature[:-1]} {signature[-1]}",
    ]  # fmt: skip

    assert TOKENS.verify(token)
    for spelling in spellings:
        with pytest.raises(InvalidToken):
            TOKENS.verify(spelling)


def test_what_was_good_once_is_so_no_longer_than_it_is_signed_for_and_its_key_is_known() -> None:
    keys = [SigningKeys(signing_key(KEY, "k-1"))]
    tokens = Tokens(lambda: keys[0])
    soon_over = signed(claims(exp=int(datetime.now(UTC).timestamp()) + 2))
    lasting = tokens.issue(WHO, at=datetime.now(UTC))
    assert tokens.verify(soon_over).user_id == tokens.verify(lasting).user_id == "u-1"
    assert tokens.verify(lasting) is tokens.verify(lasting)

    ends_at = datetime.now(UTC) + timedelta(seconds=10)
    while _verifies(tokens, soon_over):
        assert datetime.now(UTC) < ends_at
    keys[0] = SigningKeys(signing_key(OTHER_KEY, "k-2"))
    with pytest.raises(InvalidToken):
        tokens.verify(lasting)


def _verifies(tokens: Tokens, token: str) -> bool:
    try:
        tokens.verify(token)
    except InvalidToken:
        return False
    return True


@pytest.mark.parametrize("claim", ["sub", "role", "sid", "ver", "iat", "exp", "iss"])
def test_a_token_without_a_claim_is_refused(claim: str) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.verify(signed(claims(**{claim: None})))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "else"},
        {"role": "root"},
        {"role": None},
        {"iat": 4102444800},
        {"exp": 4102444800},
        {"exp": "never"},
        {"sub": 7},
        {"ver": "1"},
    ],
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

    assert Tokens(one_key(key, "k-1")).verify(signed(claims(), key=key))
    with pytest.raises(InvalidToken):
        Tokens(one_key(key, "k-1")).verify(signed(claims(), key=key, algorithm=algorithm))


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
        one_key(KEY[:length])


def test_the_key_id_follows_from_the_key_and_neither_shows_it() -> None:
    told = repr(Tokens(one_key(KEY)))

    assert told == repr(Tokens(one_key(KEY))) != repr(Tokens(one_key(OTHER_KEY)))
    assert KEY.hex()[:8] not in told


@pytest.mark.parametrize("key", [bytes(32), b"changeme" * 4, b"0123456789" * 4, b"secret" * 10])
def test_a_key_that_is_not_random_is_refused(key: bytes) -> None:
    with pytest.raises(WeakKey):
        one_key(key)


def test_after_a_rotation_tokens_of_the_old_key_are_good_until_they_expire_and_it_signs_no_more() -> None:
    now = datetime.now(UTC)
    old, keys = signing_key(KEY, "old"), [SigningKeys(signing_key(KEY, "old"))]
    tokens = Tokens(lambda: keys[0])
    before = tokens.issue(WHO, at=now - timedelta(minutes=10))
    keys[0] = SigningKeys(signing_key(OTHER_KEY, "new"), (old._replace(retired_at=now - timedelta(minutes=5)),))
    after = tokens.issue(WHO, at=now)

    assert tokens.verify(before).user_id == tokens.verify(after).user_id == WHO.user_id
    assert jwt.get_unverified_header(after)["kid"] == "new"
    with pytest.raises(InvalidToken):
        Tokens(one_key(KEY, "old")).verify(after)


def test_what_a_retired_key_signs_after_its_time_is_refused_whoever_has_it() -> None:
    now = datetime.now(UTC)
    old = signing_key(KEY, "k-1", retired_at=now - timedelta(minutes=5))
    tokens = Tokens(lambda: SigningKeys(signing_key(OTHER_KEY), (old,)))

    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims()))


def test_a_token_under_the_id_of_a_key_that_is_rotated_out_is_refused() -> None:
    tokens = Tokens(lambda: SigningKeys(signing_key(OTHER_KEY)))

    with pytest.raises(InvalidToken):
        tokens.verify(TOKENS.issue(WHO, at=datetime.now(UTC)))
    with pytest.raises(InvalidToken):
        tokens.verify(signed(claims(), key=OTHER_KEY, kid="k-1"))
