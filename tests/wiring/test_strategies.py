"""Strategies of other distributions are found by their entry points, or refused by name."""

import sys
from pathlib import Path

import pytest

from oxbot.core.strategy import InvalidParameter
from oxbot.wiring.strategies import BadPlugin, installed_strategies

PLUGIN = """
from decimal import Decimal
from oxbot.core.strategy import Signal

class Sleeper:
    name = "sleeper"
    version = 3

    def parameters(self, given):
        return ()

    def bind(self, parameters):
        return self

    window = 1
    size_fraction_max = Decimal("0.1")

    def observe(self, window, state):
        return None

SLEEPER = Sleeper()
NOTHING = object()
"""


def install(folder: Path, module: str, points: str, *, source: str = PLUGIN) -> None:
    """A distribution as pip leaves it: a module, and metadata that names its entry points."""
    (folder / f"{module}.py").write_text(source)
    metadata = folder / f"{module}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[oxbot.strategies]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path, whose modules are forgotten afterwards."""
    for name in ("plug_one", "plug_two"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_without_plug_ins_the_built_in_strategies_are_known() -> None:
    assert installed_strategies().refer("trinity", {}).version == 1


@pytest.mark.parametrize("value", ["plug_one:Sleeper", "plug_one:SLEEPER"])
def test_a_plug_in_is_known_by_name_as_class_or_instance(site: Path, value: str) -> None:
    install(site, "plug_one", f"sleeper = {value}")
    strategies = installed_strategies()
    assert strategies.bind(strategies.refer("sleeper", {})).window == 1
    assert strategies.refer("sleeper", {}).version == 3
    with pytest.raises(InvalidParameter):
        strategies.refer("hodl", {"speed": "1"})


@pytest.mark.parametrize(
    ("points", "match"),
    [
        ("trinity = plug_one:SLEEPER", r"'trinity' \(plug_one:SLEEPER\) of plug_one 1.2: there is .* already"),
        ("dozer = plug_one:SLEEPER", r"'dozer' .* calls itself 'sleeper'"),
        ("sleeper = plug_one:GONE", r"'sleeper' .* cannot be loaded: AttributeError"),
        ("sleeper = plug_gone:SLEEPER", r"'sleeper' .* cannot be loaded: ModuleNotFoundError: .*plug_gone"),
        ("sleeper = plug_one:NOTHING", "it has no name, version, parameters, bind"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_refused_by_name(site: Path, points: str, match: str) -> None:
    install(site, "plug_one", points)
    with pytest.raises(BadPlugin, match=match):
        installed_strategies()


def test_a_plug_in_that_breaks_while_it_is_imported_is_refused_by_name(site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source="raise RuntimeError('no licence')")
    with pytest.raises(BadPlugin, match=r"plug_one 1\.2 cannot be loaded: RuntimeError: no licence"):
        installed_strategies()


def test_two_plug_ins_of_one_name_are_refused(site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER")
    install(site, "plug_two", "sleeper = plug_two:SLEEPER")
    with pytest.raises(BadPlugin, match=r"'sleeper' .*plug_two.*already"):
        installed_strategies()
