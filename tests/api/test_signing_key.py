"""The signing key's file."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oxbot.adapters.key_file import KeyFileUnusable
from oxbot.adapters.signing_key import FILE_NAME, load_or_create
from oxbot.api.tokens import Tokens


def test_a_key_is_made_once_good_enough_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    key = load_or_create(home)

    assert Tokens(key)
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
