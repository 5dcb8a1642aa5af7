"""The strategies that come with oxbot."""

from oxbot.core.strategies.advised import Advised
from oxbot.core.strategies.ema_cross import EmaCross
from oxbot.core.strategies.fvg import Fvg
from oxbot.core.strategies.hodl import Hodl
from oxbot.core.strategies.indicator import Indicator
from oxbot.core.strategies.random import Random
from oxbot.core.strategies.regime import RegimeFollowing
from oxbot.core.strategies.trinity import Trinity
from oxbot.core.strategy import Strategies, Strategy


def built_in_strategies() -> tuple[Strategy, ...]:
    """Every strategy of this package."""
    return Advised(), EmaCross(), Fvg(), Hodl(), Indicator(), Random(), RegimeFollowing(), Trinity()


def built_in() -> Strategies:
    """Every strategy of this package, by name."""
    return Strategies(*built_in_strategies())
