"""The rows that people read. Amounts are text: exact decimals without exponent, quote currency."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from events.advice import OpinionAction
from events.bot import Intent, OrderReason, TradingState
from events.identifiers import HOUSE, AdviceId, BodyHash, BotId, DecisionId, ModelName, OrderId, OwnerId, Symbol
from events.user import Role
from events.values import InstrumentKind, Measurement, OrderKind, Parameter, PositionSide, Side, TimeInForce
from oxbot.core.orders import OrderStatus
from oxbot.core.state import BotStatus
from oxbot.views.amounts import Amount
from oxbot.views.setup import FeesInForce, InstrumentInForce, LimitsInForce, PaperInForce, SizingInForce

ViewName = Literal[
    "bots", "portfolios", "positions", "orders", "trades", "decisions", "holdings", "advice", "spending", "arena",
    "owned",
    "accounts",
    "checkpoints", "rebuilds", "skips",
    "models", "model_days",
    "alerts",
]  # fmt: skip
Verdict = Literal["allowed", "denied"]
TradeReason = OrderReason | Literal["liquidation"]

BOT_VIEWS: tuple[ViewName, ...] = (
    "bots", "portfolios", "positions", "orders", "trades", "decisions", "holdings", "advice", "spending", "arena",
    "owned",
)  # fmt: skip
USER_VIEWS: tuple[ViewName, ...] = ("accounts",)
SYSTEM_VIEWS: tuple[ViewName, ...] = ("checkpoints", "rebuilds", "skips")
MODEL_VIEWS: tuple[ViewName, ...] = ("models", "model_days")
ALERT_VIEWS: tuple[ViewName, ...] = ("alerts",)
VIEWS: tuple[ViewName, ...] = (*BOT_VIEWS, *USER_VIEWS, *SYSTEM_VIEWS, *MODEL_VIEWS, *ALERT_VIEWS)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of one view, found by whom it is of and its key among those; keys sort as they should be read."""

    view: ClassVar[ViewName]

    @property
    def owner(self) -> str:
        """The bot, account or part of the installation that the row is of."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The row's place among its owner's rows of the view."""
        return ""


class RowOfBot(Row, frozen=True, kw_only=True):
    """A row about a bot."""

    bot_id: BotId

    @property
    def owner(self) -> str:
        """The bot."""
        return self.bot_id


class BotLine(RowOfBot, frozen=True, kw_only=True):
    """A bot in a list of them. ``trading`` is what the risk gate lets through, and ``fleet_trading`` its fleet's part.

    ``halted`` says by which rule, and why, a bot of that status was halted.
    With an ``account`` it is live, and enters until ``armed_until``. ``owner_id``, written as ``owner``, is the user
    whose it is, empty for the house. A stopped bot that ``keeps`` what it holds leaves it to its own exits; one that is
    ``archived`` is left out of lists.
    """

    view: ClassVar[ViewName] = "bots"
    fleet: str
    name: str
    status: BotStatus
    strategy: str
    strategy_version: int
    parameters: tuple[Parameter, ...]
    venue: str
    timeframe: str
    symbols: tuple[Symbol, ...]
    begins_at: datetime
    quote: str
    created_at: datetime
    trading: TradingState = "active"
    leverage: Amount = "1"
    account: str | None = None
    armed_until: datetime | None = None
    fleet_trading: TradingState = "active"
    halted: str = ""
    owner_id: OwnerId = msgspec.field(default=HOUSE, name="owner")
    keeps: bool = False
    archived: bool = False


class BotRow(BotLine, frozen=True, kw_only=True):
    """A bot and all that it was created with; one row.

    What was left to a default stands there with its value. Only in rows that an older program made, which serve until
    they are made anew, is there none of it.
    """

    limits: LimitsInForce | None = None
    sizing: SizingInForce | None = None
    paper: PaperInForce | None = None
    fees: FeesInForce | None = None
    instruments: dict[Symbol, InstrumentInForce] = {}


class PortfolioRow(RowOfBot, frozen=True, kw_only=True):
    """A bot's money; one row. ``as_of`` is the open time of the newest candle that changed anything.

    ``locked`` is margin inside ``cash``; ``free`` is what neither margin nor working orders need. ``funding`` is what
    was received less what was paid. ``high_water`` is the highest equity on record, where a limit asks for it.
    """

    view: ClassVar[ViewName] = "portfolios"
    quote: str
    cash: Amount
    reserved: Amount
    free: Amount
    deposits: Amount
    withdrawals: Amount
    realised: Amount
    fees: Amount
    as_of: datetime | None
    locked: Amount = "0"
    funding: Amount = "0"
    trading: TradingState = "active"
    high_water: Amount | None = None


class PositionRow(RowOfBot, frozen=True, kw_only=True):
    """An open position; the row goes when it closes.

    ``entry_cost`` and ``exit_proceeds`` are the sums of all its fills so far, ``quantity`` what is held now. ``fees``
    is in quote currency, ``base_fees`` the value of the part that the venue kept of the base currency bought.
    ``stop_price`` is where the stop stands now, also of a trailing one, which follows at ``trailing_fraction``.
    """

    view: ClassVar[ViewName] = "positions"
    symbol: Symbol
    side: PositionSide
    quantity: Amount
    entry_time: datetime
    entry_price: Amount
    entry_cost: Amount
    fees: Amount
    stop_price: Amount | None
    target_price: Amount | None
    kind: InstrumentKind = "spot"
    leverage: Amount = "1"
    margin: Amount = "0"
    funding: Amount = "0"
    liquidation_price: Amount | None = None
    trailing_fraction: Amount | None = None
    exit_proceeds: Amount = "0"
    base_fees: Amount = "0"
    setup: str = ""

    @property
    def key(self) -> str:
        """The symbol."""
        return self.symbol


class OrderRow(RowOfBot, frozen=True, kw_only=True):
    """An order from request to end.

    A live bot's was sent under ``client_id``, at last at ``submitted_at``, ``attempts`` times in all. ``other_fees``
    were taken in currencies that are not the bot's money.
    """

    view: ClassVar[ViewName] = "orders"
    order_id: OrderId
    number: int
    symbol: Symbol
    side: Side
    kind: OrderKind
    reason: OrderReason
    status: OrderStatus
    quantity: Amount | None
    notional: Amount | None
    trigger_price: Amount | None
    reduce_only: bool
    filled_quantity: Amount
    average_price: Amount | None
    fees: Amount
    requested_at: datetime
    updated_at: datetime
    decision_id: DecisionId | None
    parent_id: OrderId | None
    note: str = ""
    limit_price: Amount | None = None
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False
    expires_at: datetime | None = None
    leverage: Amount = "1"
    trailing_fraction: Amount | None = None
    activation_price: Amount | None = None
    client_id: str = ""
    venue_order_id: str = ""
    submitted_at: datetime | None = None
    attempts: int = 0
    other_fees: tuple[tuple[str, Amount], ...] = ()

    @property
    def key(self) -> str:
        """The order's number, padded so that text sorts as numbers do."""
        return numbered(self.number)


class TradeRow(RowOfBot, frozen=True, kw_only=True):
    """A closed round trip; ``net`` is what it added to cash, after all its fees and funding.

    net = what it earned on price - fees + funding + covered; ``covered`` is the part of a loss that the venue bore.
    """

    view: ClassVar[ViewName] = "trades"
    number: int
    symbol: Symbol
    side: PositionSide
    quantity: Amount
    entry_time: datetime
    entry_price: Amount
    exit_time: datetime
    exit_price: Amount
    fees: Amount
    net: Amount
    reason: TradeReason
    funding: Amount = "0"
    setup: str = ""
    entry_cost: Amount = "0"
    covered: Amount = "0"

    @property
    def key(self) -> str:
        """The trade's number, padded."""
        return numbered(self.number)


class OpinionShown(msgspec.Struct, frozen=True, kw_only=True):
    """What a model thought of one symbol; ``weight`` in basis points of equity, ``horizon`` in minutes.

    ``reason`` is the model's own text, which nobody has checked.
    """

    symbol: Symbol
    action: OpinionAction
    weight: int
    confidence: int
    horizon: int
    invalidation: Amount | None = None
    reason: str = ""


class DecisionAdvice(msgspec.Struct, frozen=True, kw_only=True):
    """The advice that a decision had before it: who was asked with what prompt, who answered what.

    ``opinion`` is that of the decision's symbol; ``snapshot``, ``prompt`` and ``answer`` are hashes.
    """

    advice_id: AdviceId
    model: ModelName = ModelName("")
    resolved_model: str = ""
    template: str = ""
    snapshot: str = ""
    prompt: BodyHash | None = None
    answer: BodyHash | None = None
    opinion: OpinionShown | None = None


class DecisionRow(RowOfBot, frozen=True, kw_only=True):
    """What a strategy decided, on what, and what the risk gate said to it.

    The sizes and levels are those that an entry was judged by; a strategy that names no setup leaves them out.
    ``denial`` says more of a refusal where its rule, limit and value do not.
    """

    view: ClassVar[ViewName] = "decisions"
    decision_id: DecisionId
    number: int
    at: datetime
    symbol: Symbol
    intent: Intent
    strategy: str
    strategy_version: int
    parameters: tuple[Parameter, ...]
    measurements: tuple[Measurement, ...]
    mark: Amount
    equity: Amount
    window: int
    window_digest: str
    verdict: Verdict | None = None
    order_id: OrderId | None = None
    rule: str | None = None
    limit: Amount | None = None
    value: Amount | None = None
    setup: str = ""
    reason: str = ""
    confidence: Amount | None = None
    size_fraction: Amount | None = None
    entry_price: Amount | None = None
    stop_loss: Amount | None = None
    take_profit: Amount | None = None
    denial: str = ""
    advice: DecisionAdvice | None = None

    @property
    def key(self) -> str:
        """The decision's number, padded."""
        return numbered(self.number)


class HoldingRow(RowOfBot, frozen=True, kw_only=True):
    """What the bot held from the candle opening at ``since`` on: with the candles' closes, its equity curve.

    equity = cash - owed + the sum of quantity * close. Quantities are below 0 for shorts, and too little to sell counts
    as well. ``owed`` is what the open perpetuals were entered at, below 0 for shorts: it never left cash. ``capital``
    is what was deposited by then less what was withdrawn.
    """

    view: ClassVar[ViewName] = "holdings"
    since: datetime
    cash: Amount
    quantities: tuple[tuple[Symbol, Amount], ...]
    owed: Amount = "0"
    capital: Amount = "0"

    @property
    def key(self) -> str:
        """The time, in a form that sorts."""
        return moment_key(self.since)


class OwnedRow(Row, frozen=True, kw_only=True):
    """That a bot is a user's, or the house's; one row for each bot, under whose it is."""

    view: ClassVar[ViewName] = "owned"
    owner_id: OwnerId = msgspec.field(name="owner")
    bot_id: BotId

    @property
    def owner(self) -> str:
        """Whose it is."""
        return self.owner_id

    @property
    def key(self) -> str:
        """The bot."""
        return self.bot_id


class AccountRow(Row, frozen=True, kw_only=True):
    """An account, without anything personal; one row. ``failed_sign_ins`` counts those since the last success."""

    view: ClassVar[ViewName] = "accounts"
    user_id: str
    role: Role | None
    created_at: datetime | None
    credential_changed_at: datetime | None
    last_sign_in_at: datetime | None
    failed_sign_ins: int

    @property
    def owner(self) -> str:
        """The account."""
        return self.user_id


class SignedCheckpointRow(Row, frozen=True, kw_only=True):
    """The signed root of the log's first ``tree_size`` events, recorded at ``position``."""

    view: ClassVar[ViewName] = "checkpoints"
    tree_size: int
    root: str
    note: str
    position: int
    recorded_at: datetime

    @property
    def owner(self) -> str:
        """The log."""
        return LOG_OWNER

    @property
    def key(self) -> str:
        """The size, padded."""
        return placed(self.tree_size)


class RowOfProjection(Row, frozen=True, kw_only=True):
    """A row about a projection."""

    projection: str

    @property
    def owner(self) -> str:
        """The projection."""
        return self.projection


class RebuildRow(RowOfProjection, frozen=True, kw_only=True):
    """A projection that was folded again and began to serve, built up to ``built_to``."""

    view: ClassVar[ViewName] = "rebuilds"
    projection_version: int
    built_to: int
    position: int
    recorded_at: datetime

    @property
    def key(self) -> str:
        """The position of the record, padded."""
        return placed(self.position)


class SkipRow(RowOfProjection, frozen=True, kw_only=True):
    """An event that a projection was told to pass over; ``position`` is where that was recorded."""

    view: ClassVar[ViewName] = "skips"
    skipped_position: int
    reason: str
    position: int
    recorded_at: datetime

    @property
    def key(self) -> str:
        """The position passed over, padded."""
        return placed(self.skipped_position)


LOG_OWNER = "log"


def numbered(number: int) -> str:
    """A count as text that sorts like the number."""
    return f"{number:010d}"


def placed(position: int) -> str:
    """A position in the log as text that sorts like the number."""
    return f"{position:019d}"


def moment_key(moment: datetime) -> str:
    """A moment in UTC, to the second, as text that sorts by time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
