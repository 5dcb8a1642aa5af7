"""Strategies of other distributions are found by their entry points, or refused by name."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from oxbot.core.catalogue import shown
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategy import InvalidParameter, StrategyState, UnknownStrategy
from oxbot.wiring.strategies import BadPlugin, installed_strategies, usable_strategies
from tests.plug_ins import SLEEPER, install

NAPPER = """
from decimal import Decimal

from oxbot.core.parameters import Count, Parameters, Parametrised


class NapperParameters(Parameters, frozen=True, kw_only=True):
    naps: Count = 2


class Napper(Parametrised[NapperParameters]):
    name = "napper"
    version = 4
    parameter_type = NapperParameters

    def bound(self, parameters):
        return BoundNapper(parameters)


class BoundNapper:
    size_fraction_max = Decimal("0.1")

    def __init__(self, parameters):
        self.window = parameters.naps

    def observe(self, window, state):
        return None
"""
"""A strategy that leaves its parameters to ``Parametrised``, and does not say what it does."""

SAYS = """
from decimal import Decimal
from events.values import Bracket, Measurement
from oxbot.core.strategy import Signal
"""
"""What a plug-in needs to say something."""


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


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("raise RuntimeError('no\\nlicence')", "RuntimeError: no licence"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def", "SyntaxError"),
        (SLEEPER.replace("version = 3", "version = '3'"), "has the version '3', which is no whole number"),
    ],
)
def test_a_plug_in_that_breaks_while_it_is_loaded_is_refused_by_name(site: Path, source: str, match: str) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=source)
    with pytest.raises(BadPlugin, match=rf"plug_one 1\.2 .*{match}"):
        installed_strategies()


@pytest.mark.parametrize("method", ["parameters", "bind"])
def test_what_goes_wrong_within_a_plug_in_is_told_as_its_fault(site: Path, method: str) -> None:
    lines = SLEEPER.splitlines()
    at = next(number for number, line in enumerate(lines) if f"def {method}(" in line) + 1
    lines[at] = "        raise KeyError('speed')"
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source="\n".join(lines))
    strategies = installed_strategies()
    with pytest.raises(BadPlugin, match=r"'sleeper' .*plug_one 1\.2 failed: KeyError: 'speed'"):
        strategies.bind(strategies.refer("sleeper", {}))


def test_a_plug_in_says_what_it_does_by_its_docstring(site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER")
    found = shown(installed_strategies(), "sleeper")
    assert (found.summary, found.version, found.parameters) == ("Sleeps.", 3, [])


def test_a_plug_in_may_leave_its_parameters_to_the_class_that_ours_have(site: Path) -> None:
    install(site, "plug_one", "napper = plug_one:Napper", source=NAPPER)
    strategies = installed_strategies()
    found = shown(strategies, "napper")
    assert [(each.name, each.default, each.bounds) for each in found.parameters] == [
        ("naps", "2", "at least 1 and at most 1000")
    ]
    assert (found.version, found.summary) == (4, "")
    assert strategies.bind(strategies.refer("napper", {"naps": "7"})).window == 7
    with pytest.raises(InvalidParameter, match=r"strategy napper: .*naps"):
        strategies.refer("napper", {"naps": "0"})


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('    name = "napper"', "is not a strategy: it has no name"),
        ("    version = 4", "is not a strategy: it has no version"),
        (
            "    def bound(self, parameters):\n        return BoundNapper(parameters)",
            "cannot be loaded: TypeError: .*bound",
        ),
    ],
)
def test_a_plug_in_that_leaves_out_what_only_it_can_say_is_refused_by_name(site: Path, line: str, match: str) -> None:
    assert line in NAPPER
    install(site, "plug_one", "napper = plug_one:Napper", source=NAPPER.replace(line, ""))
    with pytest.raises(BadPlugin, match=rf"'napper' .*{match}"):
        installed_strategies()


def test_whoever_must_go_on_does_so_without_a_broken_plug_in_and_can_say_what_is_wrong_with_it(site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER\ntrinity = plug_one:SLEEPER")
    install(site, "plug_two", "dozer = plug_two:SLEEPER", source="raise RuntimeError('no licence')")
    strategies = usable_strategies()
    assert strategies.refer("sleeper", {}).version == 3
    assert strategies.refer("trinity", {}).parameters
    with pytest.raises(UnknownStrategy, match=r"'dozer' .*no licence"):
        strategies.refer("dozer", {})


def test_of_two_plug_ins_of_one_name_neither_is_used(site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER")
    install(site, "plug_two", "sleeper = plug_two:SLEEPER")
    with pytest.raises(UnknownStrategy, match="already"):
        usable_strategies().refer("sleeper", {})
    assert "sleeper" not in {strategy.name for strategy in usable_strategies().all}


def test_two_plug_ins_of_one_name_are_refused(site: Path) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER")
    install(site, "plug_two", "sleeper = plug_two:SLEEPER")
    with pytest.raises(BadPlugin, match=r"'sleeper' .*plug_two.*already"):
        installed_strategies()


@pytest.mark.parametrize("window", ["0", "-3", "1.5", "True", "None"])
def test_a_plug_in_whose_window_holds_no_candle_is_refused_when_it_is_loaded(site: Path, window: str) -> None:
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=SLEEPER.replace("window = 1", f"window = {window}"))
    with pytest.raises(BadPlugin, match=rf"'sleeper' .* has the window {window}, which must be a whole number of cand"):
        installed_strategies()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('Decimal("0.1")', "0.1", "has a size_fraction_max that is of type float (0.1), not a Decimal"),
        ("    window = 1\n", "", "is bound to what is no strategy: it has no window"),
        ("return self", "return None", "it has no window, size_fraction_max, observe"),
    ],
)
def test_a_plug_in_that_is_bound_to_no_strategy_is_refused_when_it_is_loaded(
    site: Path, old: str, new: str, words: str
) -> None:
    assert old in SLEEPER
    install(site, "plug_one", "sleeper = plug_one:SLEEPER", source=SLEEPER.replace(old, new))
    with pytest.raises(BadPlugin) as refused:
        installed_strategies()
    assert words in str(refused.value)


def test_a_window_that_is_wrong_under_other_parameters_only_is_refused_when_it_is_bound(site: Path) -> None:
    source = NAPPER.replace("self.window = parameters.naps", "self.window = 3 - parameters.naps")
    install(site, "plug_one", "napper = plug_one:Napper", source=source)
    strategies = installed_strategies()
    assert strategies.bind(strategies.refer("napper", {})).window == 1
    with pytest.raises(BadPlugin, match="has the window 0"):
        strategies.bind(strategies.refer("napper", {"naps": "3"}))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{}", "returned something of type dict, not a Signal or None"),
        ("'exit'", "returned something of type str (exit), not a Signal or None"),
        ("Signal(intent='buy', measurements=())", "whose intent is 'buy', not one of enter_long, enter_short"),
        (
            "Signal(intent='enter_long', measurements=(), size_fraction=0.05)",
            "returned a Signal whose size_fraction is of type float (0.05), not a Decimal",
        ),
        ("Signal(intent='enter_long', measurements=(), stop_loss=99.5)", "whose stop_loss is of type float (99.5)"),
        ("Signal(intent='enter_long', measurements=(), size_fraction=None)", "size_fraction is of type NoneType"),
        ("Signal(intent='exit', measurements=(), reduce_fraction=1)", "whose reduce_fraction is of type int (1)"),
        ("Signal(intent='exit', measurements=(), bracket=(0.1, 0.2))", "whose bracket is of type tuple, not a Brack"),
        ("Signal(intent='exit', measurements=(), setup=None)", "whose setup is of type NoneType, not a str"),
        ("Signal(intent='exit', measurements=[])", "whose measurements is of type list, not a tuple"),
        (
            "Signal(intent='exit', measurements=(1.5,))",
            "whose measurements hold something of type float (1.5), not a Measurem",
        ),
        (
            "Signal(intent='exit', measurements=(Measurement(name='close', value=Decimal(1)),))",
            "whose measurement close is of type Decimal",
        ),
    ],
)
def test_a_plug_in_that_says_what_is_no_signal_is_told_by_type_and_field(site: Path, said: str, words: str) -> None:
    install(
        site, "plug_one", "sleeper = plug_one:SLEEPER", source=SAYS + SLEEPER.replace("return None", f"return {said}")
    )
    strategies = installed_strategies()
    bound = strategies.bind(strategies.refer("sleeper", {}))
    with pytest.raises(BadPlugin, match=r"'sleeper' \(plug_one:SLEEPER\) of plug_one 1\.2 returned") as refused:
        bound.observe(CandleWindow(1), StrategyState())
    assert words in str(refused.value)


def test_a_signal_that_is_one_passes_as_it_is(site: Path) -> None:
    said = (
        "Signal(intent='enter_long', measurements=(Measurement(name='close', value=1.5),), "
        "size_fraction=Decimal('0.05'), stop_loss=Decimal(9), bracket=Bracket(stop_fraction=Decimal('0.1'), "
        "target_fraction=Decimal(0)), setup='nap', reason='tired')"
    )
    install(
        site, "plug_one", "sleeper = plug_one:SLEEPER", source=SAYS + SLEEPER.replace("return None", f"return {said}")
    )
    strategies = installed_strategies()
    signal = strategies.bind(strategies.refer("sleeper", {})).observe(CandleWindow(1), StrategyState())
    assert signal is not None
    assert (signal.setup, signal.stop_loss) == ("nap", Decimal(9))
