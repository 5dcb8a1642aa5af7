"""The strategies that a program knows: oxbot's own, and those that other installed distributions bring."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple, get_args

import structlog

from events.bot import Intent
from events.errors import OxbotError
from events.values import Bracket, Measurement, Parameter
from oxbot.core.market_view import CandleWindow
from oxbot.core.strategies import built_in_strategies
from oxbot.core.strategy import BoundStrategy, Signal, Strategies, Strategy, StrategyState, UnknownStrategy

GROUP = "oxbot.strategies"
_NEEDED = ("name", "version", "parameters", "bind")
_DECIMALS = ("size_fraction", "reduce_fraction")
_DECIMALS_OR_NONE = ("entry_price", "trigger_price", "stop_loss", "take_profit", "confidence")
_TEXTS = ("setup", "reason", "time_in_force")

logger = structlog.get_logger(__name__)


class BadPlugin(UnknownStrategy):
    """An installed plug-in that cannot be used; the text names it and where it comes from."""


class _Found(NamedTuple):
    name: str
    strategy: Strategy | BadPlugin


def installed_strategies() -> Strategies:
    """Built-in strategies and the plug-ins of the group ``oxbot.strategies``, by name. Raises ``BadPlugin``.

    An entry point is named as its strategy and refers to an instance, or to a class that needs no argument.
    """
    plugged: list[Strategy] = []
    for _, strategy in _plug_ins():
        if isinstance(strategy, BadPlugin):
            raise strategy
        plugged.append(strategy)
    return Strategies(*built_in_strategies(), *plugged)


def usable_strategies() -> Strategies:
    """Those of them that can be used; asked for another, it says what is wrong with that one.

    For whoever must go on whatever is installed: hosts, so that a broken plug-in fails its own bots and nobody else's,
    and commands to bots, so that one can be halted. Of two plug-ins of one name neither is used.
    """
    plugged: dict[str, Strategy] = {}
    unusable: dict[str, str] = {}
    for name, strategy in _plug_ins():
        if isinstance(strategy, BadPlugin):
            logger.warning("plugin_unusable", strategy=name, error=str(strategy))
            unusable[name] = str(strategy)
        else:
            plugged[name] = strategy
    own = built_in_strategies()
    for strategy in own:
        unusable.pop(strategy.name, None)
    return Strategies(*own, *(plugged[name] for name in plugged if name not in unusable), unusable=unusable)


def _plug_ins() -> Iterator[_Found]:
    """Every entry point of the group with its strategy, or with what is wrong with it."""
    taken = {strategy.name for strategy in built_in_strategies()}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            if point.name in taken:
                raise BadPlugin(f"{_described(point)}: there is a strategy of that name already")
            taken.add(point.name)
            yield _Found(point.name, _Plugged(_loaded(point), _described(point)))
        except BadPlugin as bad:
            yield _Found(point.name, bad)


class _Plugged:
    """A strategy of others: what goes wrong in it is told as a fault of it, not of oxbot.

    What its bound strategy raises at a candle stays as it is: it halts that bot.
    """

    def __init__(self, strategy: Strategy, described: str) -> None:
        self.name = strategy.name
        self.version = strategy.version
        self.__doc__ = type(strategy).__doc__
        self.parameter_type = getattr(strategy, "parameter_type", None)
        self._strategy = strategy
        self._described = described

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Every parameter, checked."""
        try:
            return self._strategy.parameters(given)
        except OxbotError:
            raise
        except Exception as error:  # someone else's code can fail in any way
            raise BadPlugin(f"{self._described} failed: {_told(error)}") from error

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """The strategy under these parameters."""
        try:
            bound = self._strategy.bind(parameters)
        except OxbotError:
            raise
        except Exception as error:  # see above
            raise BadPlugin(f"{self._described} failed: {_told(error)}") from error
        fault = _bound_fault(bound)
        if fault is not None:
            raise BadPlugin(f"{self._described} {fault}")
        return _Checked(bound, self._described)


class _Checked:
    """A bound strategy of others, whose signals are such as the core can compute with. Others raise ``BadPlugin``."""

    def __init__(self, bound: BoundStrategy, described: str) -> None:
        self.window = bound.window
        self.size_fraction_max = bound.size_fraction_max
        self._observe = bound.observe
        self._described = described

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """What it says at the close of the newest candle."""
        signal = self._observe(window, state)
        fault = None if signal is None else _signal_fault(signal)
        if fault is not None:
            raise BadPlugin(f"{self._described} returned {fault}")
        return signal


def _bound_fault(bound: BoundStrategy) -> str | None:
    """Why no bot could decide by what a plug-in bound, in words."""
    missing = [name for name in ("window", "size_fraction_max", "observe") if not hasattr(bound, name)]
    if missing:
        return f"is bound to what is no strategy: it has no {', '.join(missing)}"
    window: object = bound.window
    if not isinstance(window, int) or isinstance(window, bool) or window < 1:
        return f"has the window {window!r}, which must be a whole number of candles, at least 1"
    fraction: object = bound.size_fraction_max
    if not isinstance(fraction, Decimal):
        return f"has a size_fraction_max that is {_kind(fraction)}, not a Decimal"
    return None


def _signal_fault(signal: object) -> str | None:
    """What is wrong with what a strategy said, by type and field."""
    if not isinstance(signal, Signal):
        return f"something {_kind(signal)}, not a Signal or None"
    if signal.intent not in get_args(Intent):
        return f"a Signal whose intent is {signal.intent!r}, not one of {', '.join(get_args(Intent))}"
    wanted: list[tuple[str, type, bool]] = [
        *((name, Decimal, False) for name in _DECIMALS),
        *((name, Decimal, True) for name in _DECIMALS_OR_NONE),
        *((name, str, False) for name in _TEXTS),
        ("bracket", Bracket, True),
        ("measurements", tuple, False),
        ("post_only", bool, False),
    ]
    for name, kind, optional in wanted:
        value: object = getattr(signal, name)
        if not (isinstance(value, kind) or (optional and value is None)):
            return f"a Signal whose {name} is {_kind(value)}, not a {kind.__name__}"
    return _measurement_fault(signal.measurements)


def _measurement_fault(measurements: tuple[object, ...]) -> str | None:
    for measurement in measurements:
        if not isinstance(measurement, Measurement):
            return f"a Signal whose measurements hold something {_kind(measurement)}, not a Measurement"
        value: object = measurement.value
        if not isinstance(value, int | float):
            return f"a Signal whose measurement {measurement.name} is {_kind(value)}, not a float"
    return None


def _kind(value: object) -> str:
    shown = f" ({value})" if isinstance(value, int | float | str) else ""
    return f"of type {type(value).__name__}{shown}"


def _loaded(point: EntryPoint) -> Strategy:
    try:
        found = point.load()
        strategy = found() if isinstance(found, type) else found
        missing = [name for name in _NEEDED if not hasattr(strategy, name)]
        unbound = None if missing else _default_fault(strategy)
    except (Exception, SystemExit) as error:  # someone else's code can fail in any way when it is imported
        raise BadPlugin(f"{_described(point)} cannot be loaded: {_told(error)}") from error
    if missing:
        raise BadPlugin(f"{_described(point)} is not a strategy: it has no {', '.join(missing)}")
    if strategy.name != point.name:
        raise BadPlugin(f"{_described(point)} calls itself {strategy.name!r}")
    if not isinstance(strategy.version, int):
        raise BadPlugin(f"{_described(point)} has the version {strategy.version!r}, which is no whole number")
    if unbound is not None:
        raise BadPlugin(f"{_described(point)} {unbound}")
    checked: Strategy = strategy
    return checked


def _default_fault(strategy: Strategy) -> str | None:
    """What is wrong with the strategy under its defaults; what fails before that is told to whoever asks for it."""
    try:
        bound = strategy.bind(strategy.parameters({}))
    except Exception:  # noqa: BLE001 - someone else's code can fail in any way, and does so again when it is used
        return None
    return _bound_fault(bound)


def _told(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _described(point: EntryPoint) -> str:
    brought_by = f" of {point.dist.name} {point.dist.version}" if point.dist is not None else ""
    return f"strategy plug-in {point.name!r} ({point.value}){brought_by}"
