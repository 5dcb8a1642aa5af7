"""The rows about advice: what bots asked models and were told, what it cost them, and how they stand beside others."""

from datetime import date, datetime
from typing import ClassVar, Literal

import msgspec

from events.advice import AbstainReason, AdviceClass, Refusal, Usage
from events.identifiers import AdviceId, BodyHash, DecisionId, ModelName, Symbol
from events.values import Parameter
from oxbot.views.amounts import Amount
from oxbot.views.rows import OpinionShown, Row, RowOfBot, ViewName, numbered

Outcome = Literal["pending", "answered", "advised", "abstained", "stale", "lapsed"]
"""What became of a request: nothing yet, an answer that no cycle has taken, one that counted, none, one that was too
old or came after the bot had stopped waiting, or nothing in time."""


class SentimentShown(msgspec.Struct, frozen=True, kw_only=True):
    """What recorded news said of a symbol when the bot asked."""

    symbol: Symbol
    score: Amount
    items: int
    age_minutes: int


class AdviceRow(RowOfBot, frozen=True, kw_only=True):
    """A request for advice and what came of it.

    The bot asked at the close of the candle that opened at ``asked_at``, and took the answer in the cycle of the one
    that opened at ``taken_at``. ``reason`` and ``detail`` say why there is no advice. ``prompt`` and ``answer`` are the
    hashes of the stored texts, ``snapshot`` that of what the prompt was made of. ``cost`` is the bot's share in US
    dollars. ``decisions`` had this advice before them.
    """

    view: ClassVar[ViewName] = "advice"
    advice_id: AdviceId
    number: int
    asked_at: datetime
    model: ModelName
    template: str
    template_version: int
    snapshot: str
    symbols: tuple[Symbol, ...]
    advice_class: AdviceClass
    expires_at: datetime
    parameters: tuple[Parameter, ...] = ()
    sentiments: tuple[SentimentShown, ...] = ()
    outcome: Outcome = "pending"
    answered_at: datetime | None = None
    taken_at: datetime | None = None
    lapsed_at: datetime | None = None
    reason: AbstainReason | None = None
    detail: str = ""
    prompt: BodyHash | None = None
    answer: BodyHash | None = None
    resolved_model: str = ""
    opinions: tuple[OpinionShown, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    usage: Usage = Usage()
    cost: Amount = "0"
    latency_ms: int = 0
    attempts: int = 0
    repaired: bool = False
    shared_by: int = 1
    decisions: tuple[DecisionId, ...] = ()

    @property
    def key(self) -> str:
        """The request's number, padded."""
        return numbered(self.number)


class SpendingRow(RowOfBot, frozen=True, kw_only=True):
    """What a bot was told on a day of UTC of its requests to a model, and its share of what that cost in US dollars.

    ``answers`` counts abstentions too; the tokens are those of the calls made for it, whoever shared them.
    """

    view: ClassVar[ViewName] = "spending"
    day: date
    model: ModelName
    answers: int
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: Amount

    @property
    def key(self) -> str:
        """The day, then the model."""
        return f"{self.day.isoformat()} {self.model}"


class ModelAsked(msgspec.Struct, frozen=True, kw_only=True):
    """How often a model was asked, and at which candles, by open time, first and last."""

    model: ModelName
    requests: int
    first_at: datetime
    last_at: datetime


class AdviceTotals(msgspec.Struct, frozen=True, kw_only=True):
    """All requests of a bot together: each is in one of the first six.

    ``invalid`` are those abstentions where a model answered and it was no answer. ``asked_symbols`` were asked about
    and are answered or given up; ``opinions`` were had on them. ``late_ms`` is the 95th percentile of how long answers
    took, rounded up to two digits. ``resolved`` says which models answered how often, as they call themselves.
    """

    pending: int = 0
    answered: int = 0
    advised: int = 0
    abstained: int = 0
    stale: int = 0
    lapsed: int = 0
    invalid: int = 0
    repaired: int = 0
    refusals: int = 0
    asked_symbols: int = 0
    opinions: int = 0
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Amount = "0"
    late_ms: int | None = None
    models: tuple[ModelAsked, ...] = ()
    resolved: tuple[tuple[str, int], ...] = ()
    templates: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        """How often the bot asked."""
        return self.pending + self.answered + self.advised + self.abstained + self.stale + self.lapsed


class ArenaRow(RowOfBot, frozen=True, kw_only=True):
    """What a bot is compared by; one row.

    ``capital`` is what was deposited less what was withdrawn, ``initial_capital`` that of before its second candle;
    ``positions`` counts the open ones.
    With the marks of what it holds since ``since``, its equity: see ``HoldingRow``. ``advice`` is None without any.
    """

    view: ClassVar[ViewName] = "arena"
    initial_capital: Amount
    capital: Amount
    since: datetime
    cash: Amount
    owed: Amount
    quantities: tuple[tuple[Symbol, Amount], ...]
    fees: Amount
    funding: Amount
    trades: int
    positions: int = 0
    advice: AdviceTotals | None = None


class RowOfModel(Row, frozen=True, kw_only=True):
    """A row about a model, by the name that the installation knows it under."""

    model: ModelName

    @property
    def owner(self) -> str:
        """The model."""
        return self.model


class ClosedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Why a model is not asked, or not with that template; ``until`` is None where somebody must mend its settings."""

    template: str
    cause: Literal["infrastructure", "quality", "settings"]
    detail: str
    at: datetime
    until: datetime | None


class ModelRow(RowOfModel, frozen=True, kw_only=True):
    """A model that was called, or is not any more; one row. ``open_calls`` were begun and have not ended."""

    view: ClassVar[ViewName] = "models"
    calls: int = 0
    open_calls: int = 0
    cost: Amount = "0"
    last_called_at: datetime | None = None
    closed: tuple[ClosedRoute, ...] = ()


class ModelDayRow(RowOfModel, frozen=True, kw_only=True):
    """The calls of a model that were begun on a day of UTC, and what they cost in US dollars.

    ``outcomes`` says how many ended how, "answered" among them; those that have not ended have ``reserved`` so much.
    ``late_ms`` is the 95th percentile of how long calls took, rounded up to two digits.
    """

    view: ClassVar[ViewName] = "model_days"
    day: date
    calls: int
    outcomes: tuple[tuple[str, int], ...]
    reserved: Amount
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: Amount
    late_ms: int | None
    resolved: tuple[tuple[str, int], ...]
    price_versions: tuple[str, ...]

    @property
    def key(self) -> str:
        """The day."""
        return self.day.isoformat()
