"""What a strategy is: a pure function of closed candles, bound to checked parameters."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from events.advice import Opinion
from events.bot import Intent
from events.errors import OxbotError
from events.identifiers import ModelName, Symbol
from events.values import Bracket, Measurement, Parameter, PositionSide, StrategyReference, TimeInForce
from oxbot.core.market_view import CandleWindow
from oxbot.core.memory import NO_MEMORY, Memory


class UnknownStrategy(OxbotError):
    """No strategy of that name, or not in that version."""


class InvalidParameter(OxbotError):
    """A strategy parameter that is unknown, malformed or out of bounds; the text names it."""


class Holding(NamedTuple):
    """The bot's open position in the symbol, as a strategy may look at it."""

    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    opened_at: datetime
    candles: int
    """Closed candles since the one in which it was opened; 0 at the close of that one."""
    setup: str
    reduced: bool = False
    """Whether part of it was taken off already."""


class StrategyState(NamedTuple):
    """What a strategy may know besides candles: what the bot holds of the symbol, and what its trades taught it.

    ``opinion`` is for an advised strategy alone: what its model thinks of the symbol, as long as that is fresh and
    something is left to do on it. An opinion leads to one entry at most, and to one reduction.
    """

    holding: Holding | None = None
    memory: Memory = NO_MEMORY
    symbol: Symbol = Symbol("")
    opinion: Opinion | None = None


class AdviceTerms(NamedTuple):
    """Which model a strategy wants to be advised by, by which template, how often, and how long an answer counts.

    It is asked at the close of every ``every``-th candle since the market began, about all of the bot's symbols or
    those named. An answer counts for the ``valid_candles`` candles after that one.
    """

    model: ModelName
    template: str
    every: int
    valid_candles: int
    parameters: tuple[Parameter, ...] = ()
    symbols: tuple[Symbol, ...] | None = None
    template_version: int = 1


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy wants done at the next open, why, and the numbers that made it want that.

    An entry asks for a share of equity and may name levels for its exits, which it prefers to the fractions of
    ``bracket``, and how sure it is (0 to 1). With a limit (``entry_price``) it waits for that price or a better one,
    with ``trigger_price`` until the price has come to there (a stop entry), with both at the limit once it has. A limit
    may be ``post_only``, and without a trigger an entry may be ioc or fok. ``setup`` is the name under which the trade
    will be remembered. "reduce" takes ``reduce_fraction`` of the position off, above 0 and at most all of it (1).
    """

    intent: Intent
    measurements: tuple[Measurement, ...]
    size_fraction: Decimal = Decimal(0)
    bracket: Bracket | None = None
    entry_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    confidence: Decimal | None = None
    setup: str = ""
    reason: str = ""
    reduce_fraction: Decimal = Decimal(1)
    trigger_price: Decimal | None = None
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False


class BoundStrategy(Protocol):
    """A strategy with its parameters, ready to look at one symbol at a time."""

    @property
    def window(self) -> int:
        """How many closed candles it must be shown; it decides nothing before that many have closed."""
        ...

    @property
    def size_fraction_max(self) -> Decimal:
        """The largest share of equity that it will ask to put into one entry."""
        ...

    def observe(self, window: CandleWindow, state: StrategyState) -> Signal | None:
        """What to do at the close of the window's newest candle, or None for nothing."""
        ...


def advice_terms(strategy: BoundStrategy) -> AdviceTerms | None:
    """The terms of an advised strategy, which it has as ``advice``; None for any other."""
    terms = getattr(strategy, "advice", None)
    return terms if isinstance(terms, AdviceTerms) else None


class Failed(NamedTuple):
    """A strategy raised instead of saying what to do; ``reason`` is the exception's type and first line, printable."""

    reason: str
    error: Exception


REASON_MAX = 300


def asked(strategy: BoundStrategy, window: CandleWindow, state: StrategyState) -> Signal | Failed | None:
    """What the strategy says at the close of the window's newest candle; whatever it raises is an answer too."""
    try:
        return strategy.observe(window, state)
    except MemoryError:
        raise  # says nothing of the strategy
    except Exception as error:  # noqa: BLE001 - someone else's code can fail in any way, and that is what it does
        return Failed(_told(error), error)


def _told(error: Exception) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is
        lines = []
    words = f"{type(error).__name__}: {lines[0] if lines else ''}"
    return "".join(letter if letter.isprintable() else " " for letter in words)[:REASON_MAX].strip()


class Strategy(Protocol):
    """A named, versioned way to decide."""

    @property
    def name(self) -> str:
        """The name by which bots refer to it."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same candles could lead to another decision."""
        ...

    def parameters(self, given: Mapping[str, str]) -> tuple[Parameter, ...]:
        """Every parameter with its given or default value, checked. Raises ``InvalidParameter``."""
        ...

    def bind(self, parameters: tuple[Parameter, ...]) -> BoundStrategy:
        """The strategy under these parameters. Raises ``InvalidParameter``."""
        ...


class Strategies:
    """The strategies that a program knows, by name; of those it has but cannot use, why not."""

    def __init__(self, *known: Strategy, unusable: Mapping[str, str] | None = None) -> None:
        self._known = {strategy.name: strategy for strategy in known}
        self._unusable = dict(unusable or {})
        self._bound: dict[StrategyReference, BoundStrategy] = {}

    @property
    def all(self) -> tuple[Strategy, ...]:
        """Every one that can be used."""
        return tuple(self._known.values())

    def refer(self, name: str, given: Mapping[str, str]) -> StrategyReference:
        """The reference a new bot is created with. Raises ``UnknownStrategy`` or ``InvalidParameter``."""
        strategy = self.named(name)
        return StrategyReference(name=name, version=strategy.version, parameters=strategy.parameters(given))

    def bind(self, reference: StrategyReference) -> BoundStrategy:
        """The strategy that a bot refers to, bound once and shared. Raises ``UnknownStrategy``."""
        bound = self._bound.get(reference)
        if bound is None:
            strategy = self.named(reference.name)
            if strategy.version != reference.version:
                raise UnknownStrategy(
                    f"strategy {reference.name} has version {strategy.version}; the bot runs {reference.version}"
                )
            bound = self._bound[reference] = strategy.bind(reference.parameters)
        return bound

    def named(self, name: str) -> Strategy:
        """The strategy of that name. Raises ``UnknownStrategy``."""
        if name in self._unusable:
            raise UnknownStrategy(self._unusable[name])
        if name not in self._known:
            raise UnknownStrategy(f"strategy {name!r} is not known; there is {', '.join(sorted(self._known))}")
        return self._known[name]
