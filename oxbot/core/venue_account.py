"""The decider of an account at a venue: who works for it, whether entries may go out, and what was found there."""

from datetime import datetime
from decimal import Decimal
from typing import assert_never

import msgspec
from msgspec.structs import replace

from events.account import (
    AccountArmed,
    AccountClaimed,
    AccountDisarmed,
    AccountFact,
    AccountGranted,
    AccountIdentified,
    AccountKeysSet,
    AccountKillDone,
    AccountKillRequested,
    AccountOpened,
    AccountReconciled,
    AccountUnreconciled,
    KillPolicy,
    LeverageConfirmed,
    StrangerKind,
    StrangerSeen,
)
from events.identifiers import HOUSE, AccountName, OwnerId, Symbol, VenueName
from oxbot.core.refused import CommandRefused

LASTING: tuple[StrangerKind, ...] = ("position", "balance")
"""What has a name for ever, and is there in a quantity or is not."""

STRANGERS_KEPT = 10_000


class OpenAccount(msgspec.Struct, frozen=True):
    """Make an account known here; again in the same terms changes nothing."""

    account: AccountName
    venue: VenueName
    demo: bool = False
    rest: str = ""
    ws: str = ""


class SetKeys(msgspec.Struct, frozen=True):
    """The account's credentials are these from now on."""

    fingerprint: str


class GrantAccount(msgspec.Struct, frozen=True):
    """Let the bots of this user name the account from now on, and no other user's; of the house: no user's."""

    owner: OwnerId


class ClaimAccount(msgspec.Struct, frozen=True):
    """Take over the account as the next incarnation of its execution."""

    holder: str


class ArmAccount(msgspec.Struct, frozen=True):
    """Let entries through until then."""

    until: datetime


class DisarmAccount(msgspec.Struct, frozen=True):
    """Let no entry through any more."""

    reason: str = ""


class RecordReconciled(msgspec.Struct, frozen=True, kw_only=True):
    """The incarnation of that epoch found venue and log agreeing, up to a position of the log."""

    epoch: int
    at: datetime
    position: int
    orders: int
    fills_adopted: int = 0


class RecordUnreconciled(msgspec.Struct, frozen=True, kw_only=True):
    """The incarnation of that epoch found them disagreeing; said once until they agree again, and once of money.

    ``instead``: for another reason than the one that was said, which holds no more.
    """

    epoch: int
    at: datetime
    reason: str
    lacks: str = ""
    instead: bool = False


class RecordStranger(msgspec.Struct, frozen=True, kw_only=True):
    """The incarnation of that epoch found what no bot here asked for; each reference is said once.

    A position or a balance is said again when it differs by a tenth and more; a quantity of 0: it is gone.
    """

    epoch: int
    at: datetime
    kind: StrangerKind
    reference: str
    symbol: Symbol | None = None
    quantity: Decimal | None = None
    words: str = ""


class ConfirmLeverage(msgspec.Struct, frozen=True, kw_only=True):
    """The venue was told a leverage by the incarnation of that epoch, and said so when it was read back."""

    epoch: int
    at: datetime
    symbol: Symbol
    leverage: Decimal


class RecordIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The incarnation of that epoch was told by the venue which account the keys open."""

    epoch: int
    at: datetime
    identity: str


class RequestKill(msgspec.Struct, frozen=True):
    """Throw the kill switch: the account is disarmed at once, all else is the execution's to do."""

    at: datetime
    policy: KillPolicy
    reason: str = ""


class RecordKillDone(msgspec.Struct, frozen=True, kw_only=True):
    """What the incarnation of that epoch has done of what the kill switch asked for."""

    epoch: int
    at: datetime
    policy: KillPolicy
    cancelled: int
    closed: int
    left: tuple[str, ...] = ()


Fenced = RecordReconciled | RecordUnreconciled | RecordStranger | ConfirmLeverage | RecordIdentity | RecordKillDone
"""What only the newest incarnation may say."""

VenueAccountCommand = (
    OpenAccount | SetKeys | GrantAccount | ClaimAccount | ArmAccount | DisarmAccount | RequestKill
    | RecordReconciled | RecordUnreconciled | RecordStranger | ConfirmLeverage | RecordIdentity | RecordKillDone
)  # fmt: skip


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """An account. ``reconciled`` and ``leverages`` are what the newest incarnation has found out itself.

    ``kill`` is the kill switch that was thrown and not reported as done; ``unreconciled`` why entries must wait,
    ``lacks`` what of the bots' money the account has not. ``strangers`` are what was told, and in what quantity.
    ``owner``: the user whose bots may name it beside those that administrators create.
    """

    opened: AccountOpened | None = None
    fingerprint: str = ""
    identity: str = ""
    epoch: int = 0
    armed_until: datetime | None = None
    reconciled: bool = False
    unreconciled: str = ""
    lacks: str = ""
    strangers: dict[tuple[StrangerKind, str], Decimal | None] = {}
    leverages: dict[Symbol, Decimal] = {}
    kill: AccountKillRequested | None = None
    owner: OwnerId = HOUSE

    def armed_at(self, moment: datetime) -> bool:
        """Whether entries are let through then."""
        return self.armed_until is not None and moment < self.armed_until


class VenueAccountDecider:
    """Decides for one account. Pure."""

    initial = AccountState()

    def evolve(self, state: AccountState, fact: AccountFact) -> AccountState:
        """The account after the fact."""
        match fact:
            case AccountOpened():
                return replace(state, opened=fact)
            case AccountKeysSet():
                return replace(state, fingerprint=fact.fingerprint)
            case AccountGranted():
                return replace(state, owner=fact.owner)
            case AccountClaimed():
                return replace(state, epoch=fact.epoch, reconciled=False, unreconciled="", lacks="", leverages={})
            case AccountArmed():
                return replace(state, armed_until=fact.until)
            case AccountDisarmed():
                return replace(state, armed_until=None)
            case AccountReconciled():
                return replace(state, reconciled=True, unreconciled="", lacks="")
            case AccountUnreconciled():
                return replace(state, reconciled=False, unreconciled=fact.reason, lacks=fact.lacks)
            case StrangerSeen():
                return replace(state, strangers=_strangers_after(state, fact))
            case LeverageConfirmed():
                return replace(state, leverages={**state.leverages, fact.symbol: fact.leverage})
            case AccountIdentified():
                return replace(state, identity=fact.identity)
            case AccountKillRequested():
                return replace(state, kill=fact)
            case AccountKillDone():
                return replace(state, kill=None)
            case _:
                assert_never(fact)

    def decide(self, command: VenueAccountCommand, state: AccountState) -> list[AccountFact]:
        """The facts that follow; none from an incarnation that is not the newest. Raises ``CommandRefused``."""
        if isinstance(command, OpenAccount):
            return _open(command, state)
        if state.opened is None:
            raise CommandRefused("there is no such account")
        match command:
            case SetKeys():
                changed = command.fingerprint != state.fingerprint
                return [AccountKeysSet(fingerprint=command.fingerprint)] if changed else []
            case GrantAccount():
                return [] if command.owner == state.owner else [AccountGranted(owner=command.owner)]
            case ClaimAccount():
                return [AccountClaimed(epoch=state.epoch + 1, holder=command.holder)]
            case ArmAccount():
                return _arm(command, state)
            case DisarmAccount():
                return [] if state.armed_until is None else [AccountDisarmed(reason=command.reason)]
            case RequestKill():
                return _kill(command, state)
            case _:
                return _said(command, state) if command.epoch == state.epoch else []


def _open(command: OpenAccount, state: AccountState) -> list[AccountFact]:
    opened = AccountOpened(
        account=command.account, venue=command.venue, demo=command.demo, rest=command.rest, ws=command.ws
    )
    if state.opened is None:
        return [opened]
    if state.opened != opened:
        raise CommandRefused(f"account {command.account} is open at {state.opened.venue} in other terms")
    return []


def _arm(command: ArmAccount, state: AccountState) -> list[AccountFact]:
    if state.kill is not None:
        raise CommandRefused("the account's kill switch was thrown and is still at work")
    return [] if state.armed_until == command.until else [AccountArmed(until=command.until)]


def _kill(command: RequestKill, state: AccountState) -> list[AccountFact]:
    if state.kill is not None and (state.kill.policy == "close" or command.policy == "freeze"):
        return []
    requested = AccountKillRequested(at=command.at, policy=command.policy, reason=command.reason)
    disarmed = AccountDisarmed(reason="the kill switch was thrown")
    return [requested] if state.armed_until is None else [requested, disarmed]


def _said(command: Fenced, state: AccountState) -> list[AccountFact]:
    match command:
        case RecordReconciled():
            return _reconciled(command, state)
        case RecordUnreconciled():
            known = state.unreconciled == command.reason if command.instead else bool(state.unreconciled)
            said = known and (bool(state.lacks) or not command.lacks)
            unreconciled = AccountUnreconciled(
                at=command.at, epoch=command.epoch, reason=command.reason, lacks=command.lacks
            )
            return [] if said else [unreconciled]
        case RecordStranger():
            return _stranger(command, state)
        case ConfirmLeverage():
            known = state.leverages.get(command.symbol) == command.leverage
            confirmed = LeverageConfirmed(at=command.at, symbol=command.symbol, leverage=command.leverage)
            return [] if known else [confirmed]
        case RecordIdentity():
            known = state.identity == command.identity
            identified = AccountIdentified(at=command.at, epoch=command.epoch, identity=command.identity)
            return [] if known else [identified]
        case RecordKillDone():
            return _kill_done(command, state)
        case _:
            assert_never(command)


def _reconciled(command: RecordReconciled, state: AccountState) -> list[AccountFact]:
    if state.reconciled and not command.fills_adopted:
        return []
    return [
        AccountReconciled(
            at=command.at,
            epoch=command.epoch,
            position=command.position,
            orders=command.orders,
            fills_adopted=command.fills_adopted,
        )
    ]


def _strangers_after(state: AccountState, fact: StrangerSeen) -> dict[tuple[StrangerKind, str], Decimal | None]:
    """Those that are told; what is gone is told no longer, and of orders and trades only the newest are remembered."""
    key = (fact.kind, fact.reference)
    others = {known: quantity for known, quantity in state.strangers.items() if known != key}
    if fact.quantity == 0 and fact.kind in LASTING:
        return others
    passing = [known for known in others if known[0] not in LASTING]
    for known in passing[: max(0, len(passing) + 1 - STRANGERS_KEPT)]:
        del others[known]
    return {**others, key: fact.quantity}


def _is_news(command: RecordStranger, state: AccountState) -> bool:
    """Whether it was not told of yet, or of a position or a balance: was another by much, or has gone."""
    key, now = (command.kind, command.reference), command.quantity
    if key not in state.strangers:
        return now != 0 or command.kind not in LASTING
    before = state.strangers[key]
    if command.kind not in LASTING or before is None or now is None:
        return False
    return abs(now - before) * 10 > abs(before)


def _stranger(command: RecordStranger, state: AccountState) -> list[AccountFact]:
    if not _is_news(command, state):
        return []
    return [
        StrangerSeen(
            at=command.at,
            kind=command.kind,
            reference=command.reference,
            symbol=command.symbol,
            quantity=command.quantity,
            words=command.words,
        )
    ]


def _kill_done(command: RecordKillDone, state: AccountState) -> list[AccountFact]:
    if state.kill is None or state.kill.policy != command.policy:
        return []
    return [
        AccountKillDone(
            at=command.at,
            policy=command.policy,
            cancelled=command.cancelled,
            closed=command.closed,
            left=command.left,
        )
    ]
