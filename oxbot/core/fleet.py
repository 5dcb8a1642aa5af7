"""The decider of a fleet: where its switch stands, which every bot of it is told and every new one begins with."""

import msgspec

from events.bot import TradingState
from events.fleet import FleetFact, FleetSwitched


class FleetState(msgspec.Struct, frozen=True):
    """Where the fleet's switch stands."""

    trading: TradingState = "active"


class SwitchFleet(msgspec.Struct, frozen=True):
    """Set the fleet's switch."""

    state: TradingState
    reason: str = ""


class FleetDecider:
    """Decides for one fleet. Pure, as ``BotDecider``."""

    initial = FleetState()

    def evolve(self, state: FleetState, fact: FleetFact) -> FleetState:
        """The fleet after the fact."""
        del state
        return FleetState(fact.state)

    def decide(self, command: SwitchFleet, state: FleetState) -> list[FleetFact]:
        """The fact that follows; none if the switch stands there already."""
        if command.state == state.trading:
            return []
        return [FleetSwitched(state=command.state, reason=command.reason)]
