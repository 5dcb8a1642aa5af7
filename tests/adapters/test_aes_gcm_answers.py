"""Seals of answers: what opens them, and that a password enters by its slow hash alone."""

import pytest

from oxbot.adapters.aes_gcm_answers import AesGcmAnswers
from oxbot.adapters.argon2_passwords import Argon2Passwords

pytestmark = pytest.mark.anyio

SECRET, NEWER = bytes(range(32)), bytes(range(1, 33))


class OneForAll:
    """Stretches every password to the same key."""

    async def stretch(self, password: str, *, salt: bytes) -> bytes:
        """The same."""
        del password, salt
        return bytes(32)


async def test_nothing_but_the_slow_hash_of_a_password_is_in_what_is_kept() -> None:
    seals = AesGcmAnswers(OneForAll(), lambda: [SECRET])
    one = await seals.of("u", "k", "a password", guessable=True)
    other = await seals.of("u", "k", "another password", guessable=True)

    assert one.fingerprint == other.fingerprint
    assert other.open(one.close(b"an answer")) == b"an answer"


@pytest.mark.parametrize("guessable", [True, False])
async def test_it_takes_the_user_the_key_and_the_content_to_open_an_answer(guessable: bool) -> None:
    seals = AesGcmAnswers(Argon2Passwords(), lambda: [SECRET])
    seal = await seals.of("u", "k", "content", guessable=guessable)
    sealed = seal.close(b"an answer")

    assert b"an answer" not in sealed
    assert (await seals.of("u", "k", "content", guessable=guessable)).open(sealed) == b"an answer"
    for who in (("v", "k", "content"), ("u", "l", "content"), ("u", "k", "contents")):
        other = await seals.of(*who, guessable=guessable)
        assert other.open(sealed) is None
        assert other.fingerprint != seal.fingerprint


async def test_the_servers_secret_is_needed_too_and_an_older_one_is_good_for_what_it_sealed() -> None:
    secrets = [SECRET]
    seals = AesGcmAnswers(Argon2Passwords(), lambda: secrets)
    first = await seals.of("u", "k", "content", guessable=False)
    secrets = [NEWER, SECRET]
    second = await seals.of("u", "k", "content", guessable=False)

    assert first.fingerprint == second.fingerprint
    assert second.open(first.close(b"an answer")) == b"an answer"
    assert first.open(second.close(b"an answer")) is None
