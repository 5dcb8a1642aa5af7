"""The facts of an account at a venue: who works for it, whether it may trade, and what was found there. No secrets."""

from decimal import Decimal
from typing import Literal

from events.identifiers import AccountName, OwnerId, Symbol, VenueName
from events.values import Timestamp, Value

StrangerKind = Literal["order", "position", "balance", "fill"]
KillPolicy = Literal["freeze", "close"]


class AccountOpened(Value, frozen=True, kw_only=True, tag="account.opened"):
    """An account at a venue became known here; in ``demo`` mode the venue itself trades with play money.

    ``rest`` and ``ws`` are where it is reached, if that is not where the venue always is.
    """

    account: AccountName
    venue: VenueName
    demo: bool = False
    rest: str = ""
    ws: str = ""


class AccountKeysSet(Value, frozen=True, kw_only=True, tag="account.keys_set"):
    """The account's credentials were stored or replaced; the fact says which by a digest of the key's name."""

    fingerprint: str


class AccountGranted(Value, frozen=True, kw_only=True, tag="account.granted"):
    """An administrator let this user's bots name the account; granted to the house, only administrators' may."""

    owner: OwnerId


class AccountClaimed(Value, frozen=True, kw_only=True, tag="account.claimed"):
    """An incarnation of the execution took over the account; every older incarnation must stop."""

    epoch: int
    holder: str


class AccountArmed(Value, frozen=True, kw_only=True, tag="account.armed"):
    """An administrator let entries through to this account until then."""

    until: Timestamp


class AccountDisarmed(Value, frozen=True, kw_only=True, tag="account.disarmed"):
    """No entry goes to this account until it is armed again; exits and cancels do."""

    reason: str = ""


class AccountReconciled(Value, frozen=True, kw_only=True, tag="account.reconciled"):
    """Orders, fills, positions and balances at the venue agree with the log up to ``position``; entries may go out.

    ``fills_adopted`` were found at the venue and not in the log, and are in it now.
    """

    at: Timestamp
    epoch: int
    position: int
    orders: int
    fills_adopted: int = 0


class AccountUnreconciled(Value, frozen=True, kw_only=True, tag="account.unreconciled"):
    """The venue and the log disagree, or the venue could not be asked; until they agree no entry goes out.

    ``lacks``: what its bots have and the account has not, in words; empty if it is not that.
    """

    at: Timestamp
    epoch: int
    reason: str
    lacks: str = ""


class StrangerSeen(Value, frozen=True, kw_only=True, tag="account.stranger_seen"):
    """Something at the venue that no bot here asked for; it is never touched.

    A position or a balance is told again when it is another by much, and with a ``quantity`` of 0 once it is gone.
    """

    at: Timestamp
    kind: StrangerKind
    reference: str
    symbol: Symbol | None = None
    quantity: Decimal | None = None
    words: str = ""


class LeverageConfirmed(Value, frozen=True, kw_only=True, tag="account.leverage_confirmed"):
    """The venue was told this leverage for a symbol, in isolated margin, and said so when it was read back."""

    at: Timestamp
    symbol: Symbol
    leverage: Decimal


class AccountIdentified(Value, frozen=True, kw_only=True, tag="account.identified"):
    """Which account its keys open at the venue; ``identity`` is a digest of the venue's own name for it.

    Of several with the same one, only the first may trade.
    """

    at: Timestamp
    epoch: int
    identity: str


class AccountKillRequested(Value, frozen=True, kw_only=True, tag="account.kill_requested"):
    """Somebody threw the account's kill switch: freeze cancels what would enter; close also closes all positions."""

    at: Timestamp
    policy: KillPolicy
    reason: str = ""


class AccountKillDone(Value, frozen=True, kw_only=True, tag="account.kill_done"):
    """What the kill switch did in truth: what was cancelled and closed, and what is still there."""

    at: Timestamp
    policy: KillPolicy
    cancelled: int
    closed: int
    left: tuple[str, ...] = ()


AccountFact = (
    AccountOpened
    | AccountKeysSet
    | AccountGranted
    | AccountClaimed
    | AccountArmed
    | AccountDisarmed
    | AccountReconciled
    | AccountUnreconciled
    | StrangerSeen
    | LeverageConfirmed
    | AccountIdentified
    | AccountKillRequested
    | AccountKillDone
)
