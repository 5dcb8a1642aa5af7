"""The facts of a fleet as a whole. One stream per fleet holds them."""

from events.bot import TradingState
from events.values import Value


class FleetSwitched(Value, frozen=True, kw_only=True, tag="fleet.switched"):
    """Somebody said what the gates of all bots of the fleet may let through, and of those that will be created."""

    state: TradingState
    reason: str = ""


FleetFact = FleetSwitched
