"""The strategies that come with oxbot."""

from oxbot.core.strategies.ema_cross import EmaCross
from oxbot.core.strategy import Strategies


def built_in() -> Strategies:
    """Every strategy of this package."""
    return Strategies(EmaCross())
