"""The form of an answer: what one item and the whole must look like, also as a schema that providers are given."""

from collections.abc import Iterable
from typing import Annotated, get_args

import msgspec

from events.advice import OpinionAction
from oxbot.core.advice_bounds import (
    CONFIDENCE_MAX,
    HORIZON_MINUTES_MAX,
    REASON_LETTERS_MAX,
    SYMBOLS_MAX,
    WEIGHT_MAX,
)
from oxbot.core.advice_json import Json

ACTIONS: tuple[OpinionAction, ...] = get_args(OpinionAction)


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item of an answer as a model writes it. A price is text, so that it is never a float."""

    symbol: str
    action: OpinionAction
    weight_bps: Annotated[int, msgspec.Meta(ge=0, le=WEIGHT_MAX)]
    confidence: Annotated[int, msgspec.Meta(ge=0, le=CONFIDENCE_MAX)]
    horizon_minutes: Annotated[int, msgspec.Meta(ge=1, le=HORIZON_MINUTES_MAX)]
    invalidation: str | None
    reason: Annotated[str, msgspec.Meta(max_length=REASON_LETTERS_MAX)]


class AnswerForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole answer as a model writes it; ``schema`` is the name under which template and answer change together."""

    schema: str
    snapshot: str
    decisions: Annotated[tuple[Decision, ...], msgspec.Meta(max_length=SYMBOLS_MAX)]


def provider_schema(symbols: Iterable[str]) -> str:
    """The JSON schema of an answer on these symbols, as text: root inlined, every field required, no other allowed.

    Bounds are left out: providers refuse schemas with words that they do not know, so the prompt says the bounds and
    the reader of the answer checks them.
    """
    item: dict[str, Json] = {
        "symbol": {"type": "string", "enum": [*sorted(symbols)]},
        "action": {"type": "string", "enum": list(ACTIONS)},
        "weight_bps": {"type": "integer"},
        "confidence": {"type": "integer"},
        "horizon_minutes": {"type": "integer"},
        "invalidation": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "reason": {"type": "string"},
    }
    whole: dict[str, Json] = {
        "schema": {"type": "string"},
        "snapshot": {"type": "string"},
        "decisions": {"type": "array", "items": _object(item)},
    }
    return msgspec.json.encode(_object(whole)).decode()


def _object(properties: dict[str, Json]) -> dict[str, Json]:
    required: list[Json] = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
