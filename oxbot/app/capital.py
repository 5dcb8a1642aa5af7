"""Money that people bring to a bot and take out of it: each flow is booked once, however often it is asked for."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, NamedTuple

import msgspec

from events.bot import BotFact, CapitalDeposited, CapitalWithdrawn
from oxbot.core.bot import BotDecider, CommandRefused, DepositCapital, WithdrawCapital
from oxbot.core.creation import FIELD_BOUNDS, INITIAL_CAPITAL, InvalidCommand, check_amount
from oxbot.core.money import text
from oxbot.core.state import BotState

FlowKind = Literal["deposit", "withdrawal"]

Reference = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        pattern=r"^(?![\s\S]*[\x00-\x1f\x7f])",
        description="The caller's own name for this flow: a request again under the same one books nothing more.",
    ),
]


class CapitalFlow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Quote currency that comes or goes."""

    bounds: ClassVar[Mapping[str, str]] = {
        "amount": FIELD_BOUNDS["capital"],
        "reference": "1 to 100 characters in one line",
    }

    amount: Decimal
    reference: Reference


class BookedFlow(NamedTuple):
    """A flow as it stands in the bot's stream, at this version of it."""

    kind: FlowKind
    amount: Decimal
    reference: str
    version: int


class Flows(NamedTuple):
    """A bot, the version up to which it is folded, and its flows of capital by reference."""

    bot: BotState
    version: int
    booked: Mapping[str, BookedFlow]


class FlowDecider:
    """Decides on capital as the bot's decider does, and looks for the reference in the bot's stream first.

    Every attempt of ``handle`` folds what is new, so of two requests under one reference, at whatever moment and from
    whatever process, one is booked.
    """

    def __init__(self, decider: BotDecider) -> None:
        self._decider = decider
        self.initial = Flows(decider.initial, 0, {})

    def evolve(self, state: Flows, fact: BotFact) -> Flows:
        """The bot and its flows after the fact."""
        version, booked = state.version + 1, state.booked
        if isinstance(fact, CapitalDeposited | CapitalWithdrawn) and fact.reference not in booked:
            kind: FlowKind = "deposit" if isinstance(fact, CapitalDeposited) else "withdrawal"
            flow = BookedFlow(kind, fact.amount, fact.reference, version)
            booked = {**booked, fact.reference: flow}
        return Flows(self._decider.evolve(state.bot, fact), version, booked)

    def decide(self, command: DepositCapital | WithdrawCapital, state: Flows) -> list[BotFact]:
        """The flow, or nothing where it is booked already.

        Raises ``InvalidCommand`` for an amount or a reference that cannot be, ``CommandRefused`` for a reference that
        is another flow's, or for more than is free.
        """
        check_amount(command.amount)
        if command.reference == INITIAL_CAPITAL:
            raise InvalidCommand(f"reference {INITIAL_CAPITAL!r} is that of the bot's creation")
        booked = state.booked.get(command.reference)
        if booked is None:
            return self._decider.decide(command, state.bot)
        kind: FlowKind = "deposit" if isinstance(command, DepositCapital) else "withdrawal"
        if (booked.kind, booked.amount) != (kind, command.amount):
            raise CommandRefused(
                f"reference {command.reference!r} is that of a {booked.kind} of {text(booked.amount)} already, "
                f"not of a {kind} of {text(command.amount)}"
            )
        return []
