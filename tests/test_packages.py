"""The distribution ships what it should: three packages of ours, whatever else the index has under their names."""

import tomllib
from pathlib import Path

import actors
import events
import oxbot

ROOT = Path(__file__).parents[1]


def test_events_and_actors_are_ours() -> None:
    for package in (events, actors, oxbot):
        assert package.__file__ is not None
        assert Path(package.__file__).parent == ROOT / package.__name__


def test_every_package_is_shipped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in ("events", "oxbot", "actors")
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found


def test_the_lock_file_pins_everything_with_hashes_and_names_no_index() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(pinned) > 80
    assert all("==" in line and line.endswith("\\") for line in pinned)
    assert not any("://" in line or line.startswith("--index") for line in lines)
    versions = dict(line.split(" ")[0].split("==") for line in pinned)
    assert versions["litellm"].startswith("1.106.")
