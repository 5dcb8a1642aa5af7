"""Nothing starts with a secret that is guessed first."""

import secrets
from pathlib import Path

import pytest

from oxbot.adapters.key_file import KEY_BYTES, KeyFileUnusable, load_or_create
from oxbot.config import InvalidSetting, load_settings
from oxbot.weak_secrets import key_weakness, password_weakness


@pytest.mark.parametrize(
    "password",
    [
        "", "postgres", "short-1a2b3c", "aaaaaaaaaaaaaaaaaaaa", "abababababababababab", "passwordpassword",
        "Postgres12345678", "changeme-changeme-oxbot", "OXBOT-secret-password", "0123456789012345678",
    ],
)  # fmt: skip
def test_a_password_that_could_be_guessed_is_refused_at_the_start(password: str) -> None:
    assert password_weakness(password) is not None
    with pytest.raises(InvalidSetting, match="OXBOT_DATABASE_ROLE_PASSWORD could be guessed: ") as refused:
        load_settings({"OXBOT_HOME": "/nowhere", "OXBOT_DATABASE_ROLE_PASSWORD": password})
    assert not password or password not in str(refused.value)


def test_random_passwords_are_fine() -> None:
    for _ in range(200):
        assert password_weakness(secrets.token_urlsafe(18)) is None
        assert password_weakness(secrets.token_hex(16)) is None


@pytest.mark.parametrize(
    "key", [bytes(KEY_BYTES), b"k" * KEY_BYTES, b"0123456789abcdef" * 2, bytes(range(KEY_BYTES)), b"changeme" * 4]
)
def test_a_key_that_repeats_itself_is_refused_whatever_file_it_is_in(key: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.key"
    path.write_bytes(key)
    path.chmod(0o600)
    with pytest.raises(KeyFileUnusable, match="could be guessed"):
        load_or_create(path)


def test_random_keys_are_fine() -> None:
    for _ in range(1000):
        assert key_weakness(secrets.token_bytes(KEY_BYTES)) is None
