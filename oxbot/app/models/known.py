"""Which language models an installation knows, on what terms each is called, and what may be spent on all of them."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from events.advice import Usage
from events.identifiers import ModelName
from events.values import Value

SCRIPTED = ModelName("scripted")
"""The model that is always there: it costs nothing, calls nobody, and answers the same to the same prompt."""

NAME_PATTERN = r"^[a-z0-9._-]{1,64}$"
PRICE_MAX = Decimal(10_000)
USD_MAX = Decimal(1_000_000)
PLACES_MAX = 12
"""Decimals that an amount of dollars may have: one is added to others to the last digit."""

_PER = Decimal(1_000_000)

Structured = Literal["json_schema", "json_object", "none"]
"""How a provider is told to answer in JSON: under a schema, in any JSON, or by the prompt alone."""

AnswerProfile = Literal["strict", "lenient"]
"""Whether an answer may stand in one code fence ("lenient", which is recorded as a repair) or not."""

_Variable = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]


def _check_places(name: str, number: Decimal) -> None:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > PLACES_MAX:
        raise ValueError(f"{name} must have at most {PLACES_MAX} decimals")


class Prices(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars per million tokens: of input, of input out of the provider's own cache, and of output.

    ``version`` names this table of prices in every record of a call, so that a cost can be told from its prices.
    """

    input: Decimal
    cached: Decimal
    output: Decimal
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("input", "cached", "output"):
            _check_places(name, getattr(self, name))
            if not 0 <= getattr(self, name) <= PRICE_MAX:
                raise ValueError(f"{name} must be from 0 to {PRICE_MAX} US dollars per million tokens")

    @property
    def free(self) -> bool:
        """Whether nothing is ever paid."""
        return not (self.input or self.cached or self.output)

    def cost(self, usage: Usage) -> Decimal:
        """What so many tokens cost, to the last digit: a millionth of a price is a decimal number, so none is lost."""
        cached = min(usage.cached, usage.input)
        fresh = usage.input - cached
        return (fresh * self.input + cached * self.cached + usage.output * self.output) / _PER

    def bound(self, *, input_tokens: int, output_tokens: int) -> Decimal:
        """The most that a call of so many tokens can cost, whatever the provider has cached."""
        return (input_tokens * max(self.input, self.cached) + output_tokens * self.output) / _PER


class KnownModel(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model by the name that bots ask for it under.

    ``provider_model`` is the name that litellm knows it by: provider, slash, model. ``base_url`` is where it is spoken
    to, the provider's own address if None. The key is never here: ``key_env`` names an environment variable that holds
    it, ``key_file`` a file; without both the provider is given none. ``calls_per_minute`` and ``burst`` are its limit.
    Without ``prices`` it is not asked, which is not the same as a price of 0. An answer is at most ``output_tokens``
    long and prompt and answer together ``context_tokens``; a call ends after ``timeout_seconds``. ``cutoff`` is the
    last day that its training saw. ``sends_temperature``: whether ``temperature`` is passed on; some refuse it.
    ``fallbacks`` are asked in its stead, in this order, while it cannot be; none are by default.
    """

    name: Annotated[ModelName, msgspec.Meta(pattern=NAME_PATTERN)]
    provider_model: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+/[^\s]{1,200}$")]
    base_url: str | None = None
    key_env: _Variable | None = None
    key_file: str | None = None
    calls_per_minute: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 50
    burst: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    prices: Prices | None = None
    context_tokens: _Count = 32_000
    output_tokens: _Count = 2_000
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 20
    cutoff: date | None = None
    structured: Structured = "json_schema"
    answers: AnswerProfile = "strict"
    temperature: Decimal = Decimal(0)
    sends_temperature: bool = True
    fallbacks: tuple[Annotated[ModelName, msgspec.Meta(pattern=NAME_PATTERN)], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.key_env is not None and self.key_file is not None:
            raise ValueError("key_env and key_file are two places for one key; name one")
        if self.key_env is not None and self.key_env.startswith("OXBOT_"):
            raise ValueError("key_env names a setting of oxbot, which no provider is sent")
        if self.output_tokens >= self.context_tokens:
            raise ValueError("output_tokens must be fewer than context_tokens, which the prompt shares with them")
        _check_places("temperature", self.temperature)
        if not 0 <= self.temperature <= 2:  # noqa: PLR2004  # the range that providers take
            raise ValueError("temperature must be from 0 to 2")
        if self.base_url is not None:
            _check_address(self.base_url, keyed=self.keyed)

    @property
    def keyed(self) -> bool:
        """Whether it is called with a key."""
        return self.key_env is not None or self.key_file is not None

    @property
    def scripted(self) -> bool:
        """Whether no provider answers, but the rule in our own code."""
        return self.provider_model.startswith("scripted/")


class SpendLimit(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be spent in one day (of UTC): US dollars and tokens."""

    usd_per_day: Decimal
    tokens_per_day: Annotated[int, msgspec.Meta(ge=0, le=10**12)]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_places("usd_per_day", self.usd_per_day)
        if not 0 <= self.usd_per_day <= USD_MAX:
            raise ValueError(f"usd_per_day must be from 0 to {USD_MAX}")


class Budgets(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one bot, one owner's bots together, and one fleet may spend; there is no way to say "without limit"."""

    bot: SpendLimit = SpendLimit(usd_per_day=Decimal(1), tokens_per_day=5_000_000)
    owner: SpendLimit = SpendLimit(usd_per_day=Decimal(10), tokens_per_day=100_000_000)
    fleet: SpendLimit = SpendLimit(usd_per_day=Decimal(50), tokens_per_day=1_000_000_000)


class UnknownFallback(ValueError):
    """A model's list of fallbacks names what is not in the table, itself, or one model twice."""


class ModelTable:
    """Every model that the installation knows, ``scripted`` among them, and its budgets."""

    def __init__(self, models: Iterable[KnownModel] = (), budgets: Budgets | None = None) -> None:
        """Raises ``UnknownFallback``."""
        self.models: Mapping[ModelName, KnownModel] = {
            SCRIPTED: scripted_model(),
            **{each.name: each for each in models},
        }
        self.budgets = budgets or Budgets()
        for model in self.models.values():
            wrong = [name for name in model.fallbacks if name not in self.models or name == model.name]
            if wrong:
                raise UnknownFallback(
                    f"model {model.name} falls back to {wrong[0]}, which is itself or not in the table"
                )
            if len(set(model.fallbacks)) != len(model.fallbacks):
                raise UnknownFallback(f"model {model.name} names a fallback twice")

    def get(self, name: ModelName) -> KnownModel | None:
        """The model of this name, if there is one."""
        return self.models.get(name)


def scripted_model(name: ModelName = SCRIPTED, *, calls_per_minute: int = 50) -> KnownModel:
    """A model that answers by a rule in our own code, free of charge."""
    return KnownModel(
        name=name,
        provider_model="scripted/rule",
        prices=Prices(input=Decimal(0), cached=Decimal(0), output=Decimal(0), version="free"),
        calls_per_minute=calls_per_minute,
    )


def _check_address(address: str, *, keyed: bool) -> None:
    """A key goes over plain HTTP to this machine or its own network only; nobody hides a password in an address."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("base_url is no address such as https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("base_url holds a user or a password; a key has a place of its own")
    if keyed and parts.scheme == "http" and not near(parts.hostname):
        raise ValueError("base_url would carry the key over the open network unencrypted; use https")


def near(host: str) -> bool:
    """Whether a host is this machine or in a private network."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_private
