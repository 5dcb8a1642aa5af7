"""The strategies that a program knows: oxbot's own, and those that other installed distributions bring."""

from importlib.metadata import EntryPoint, entry_points

from events.errors import OxbotError
from oxbot.core.strategies import built_in_strategies
from oxbot.core.strategy import Strategies, Strategy

GROUP = "oxbot.strategies"
_NEEDED = ("name", "version", "parameters", "bind")


class BadPlugin(OxbotError):
    """An installed plug-in that cannot be used; the text names it and where it comes from."""


def installed_strategies() -> Strategies:
    """Built-in strategies and the plug-ins of the group ``oxbot.strategies``, by name. Raises ``BadPlugin``.

    An entry point is named as its strategy and refers to an instance, or to a class that needs no argument.
    """
    known = {strategy.name: strategy for strategy in built_in_strategies()}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.name in known:
            raise BadPlugin(f"{_described(point)}: there is a strategy of that name already")
        known[point.name] = _loaded(point)
    return Strategies(*known.values())


def _loaded(point: EntryPoint) -> Strategy:
    try:
        found = point.load()
        strategy = found() if isinstance(found, type) else found
    except Exception as error:  # someone else's code can fail in any way when it is imported
        raise BadPlugin(f"{_described(point)} cannot be loaded: {type(error).__name__}: {error}") from error
    missing = [name for name in _NEEDED if not hasattr(strategy, name)]
    if missing:
        raise BadPlugin(f"{_described(point)} is not a strategy: it has no {', '.join(missing)}")
    if strategy.name != point.name:
        raise BadPlugin(f"{_described(point)} calls itself {strategy.name!r}")
    checked: Strategy = strategy
    return checked


def _described(point: EntryPoint) -> str:
    brought_by = f" of {point.dist.name} {point.dist.version}" if point.dist is not None else ""
    return f"strategy plug-in {point.name!r} ({point.value}){brought_by}"
