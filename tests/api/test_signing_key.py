"""The signing key's file."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oxbot.adapters.key_file import KeyFileUnusable
from oxbot.adapters.signing_key import FILE_NAME, RETIRED_FOR, load_or_create, rotate
from oxbot.api.tokens import InvalidToken, SignedIn, Tokens, one_key
from oxbot.core.account import UserId
from oxbot.wiring.people import key_source, server_secrets


def test_a_key_is_made_once_good_enough_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    key = load_or_create(home)

    assert Tokens(one_key(key))
    assert load_or_create(home) == key
    assert stat.S_IMODE((home / FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == [FILE_NAME]


def test_two_homes_have_two_keys(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "a") != load_or_create(tmp_path / "b")


def test_all_who_ask_at_once_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_or_create(tmp_path), range(32)))

    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_or_create(tmp_path)
    (tmp_path / FILE_NAME).chmod(mode)

    with pytest.raises(KeyFileUnusable, match="chmod 600"):
        load_or_create(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_key_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.touch(mode=0o600)
    path.write_bytes(content)

    with pytest.raises(KeyFileUnusable, match="32 bytes"):
        load_or_create(tmp_path)


def test_a_link_in_the_place_of_the_key_is_refused(tmp_path: Path) -> None:
    elsewhere = load_or_create(tmp_path / "else")
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "else" / FILE_NAME)

    assert elsewhere
    with pytest.raises(KeyFileUnusable, match="cannot use"):
        load_or_create(tmp_path)


WHO = SignedIn(UserId("u-1"), "viewer")


def test_a_rotation_counts_at_once_in_a_process_that_runs_and_what_was_signed_before_is_good_still(
    tmp_path: Path,
) -> None:
    tokens, now = Tokens(key_source(tmp_path)), datetime.now(UTC)
    before, key = tokens.issue(WHO, at=now), load_or_create(tmp_path)
    rotate(tmp_path, at_once=False)

    assert load_or_create(tmp_path) != key
    assert tokens.verify(before).user_id == "u-1"
    assert tokens.verify(tokens.issue(WHO, at=now)).user_id == "u-1"
    assert Tokens(one_key(load_or_create(tmp_path))).verify(tokens.issue(WHO, at=now))
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_a_rotation_at_once_makes_all_tokens_worthless_those_of_older_keys_too(tmp_path: Path) -> None:
    tokens, now = Tokens(key_source(tmp_path)), datetime.now(UTC)
    before = [tokens.issue(WHO, at=now)]
    rotate(tmp_path, at_once=False)
    before.append(tokens.issue(WHO, at=now))
    rotate(tmp_path, at_once=True)

    for token in before:
        with pytest.raises(InvalidToken):
            tokens.verify(token)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_retired_key_is_gone_once_nothing_it_signed_can_be_good(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    long_ago = int((datetime.now(UTC) - RETIRED_FOR).timestamp()) - 1
    old = tmp_path / f"signing-retired-{long_ago}-00000000.key"
    os.link(tmp_path / FILE_NAME, old)

    assert key_source(tmp_path)().retired == ()
    rotate(tmp_path, at_once=False)
    assert not old.exists()
    assert len(key_source(tmp_path)().retired) == 1


def test_the_servers_secrets_are_the_keys_as_they_are_now_the_newest_first(tmp_path: Path) -> None:
    secrets = server_secrets(tmp_path / "home")
    assert not (tmp_path / "home").exists()
    (first,) = secrets()
    rotate(tmp_path / "home", at_once=False)
    second, retired = secrets()

    assert (load_or_create(tmp_path / "home"), retired) == (second, first)
    rotate(tmp_path / "home", at_once=True)
    assert len(secrets()) == 1
    assert not {first, second} & set(secrets())
