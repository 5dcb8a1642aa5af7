"""The reading of what a model answered: opinions that were asked for, or what is wrong with it.

The text is parsed once, and what was checked is what is used. Nothing that a model wrote gets into the words about a
fault, but for the name of a field.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from events.advice import AbstainReason, Opinion, Refusal
from events.identifiers import Symbol
from oxbot.core.advice_bounds import INVALIDATION_RATIO_MAX, SYMBOLS_MAX, WEIGHT_MAX
from oxbot.core.advice_json import Fault, FaultCode, Json, read_json
from oxbot.core.advice_schema import ACTIONS, AnswerForm, Decision, provider_schema
from oxbot.core.advice_snapshot import Snapshot, digest
from oxbot.core.money import text
from oxbot.core.prompts.message import Message

_FIELDS = AnswerForm.__struct_fields__
_PRICE = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,18})?", re.ASCII)
_FIELD_NAME = re.compile(r"[a-z_]{1,32}", re.ASCII)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`.*", re.DOTALL)
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control and format characters, those that turn the direction of text among them, and what is no character at all."""

_REASONS: dict[FaultCode, AbstainReason] = {"empty": "empty", "truncated": "truncated"}

_MENDING: dict[FaultCode, str] = {
    "empty": "There was no text in your answer.",
    "too_long": "Your answer was too long.",
    "prose": "There were words or a code fence beside the JSON object.",
    "truncated": "Your JSON ended before it was complete. Write less.",
    "not_json": "Your answer was no valid JSON.",
    "duplicate_key": "A field stood twice in one object.",
    "not_a_number": "There was a number that is none, or that is too long.",
    "too_deep": "Your JSON was nested too deep.",
    "wrong_form": "Your JSON was not of the form that was described.",
    "wrong_schema": "The field schema was not the name that was asked for.",
    "wrong_snapshot": "The field snapshot was not the id of the snapshot that you were shown.",
    "too_many_items": f"There were more than {SYMBOLS_MAX} decisions.",
    "no_item": "None of your decisions kept the rules.",
}


class AskedFor(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer must answer to: its schema, the id of the snapshot, and the symbols with their newest closes."""

    schema: str
    snapshot: str
    marks: Mapping[Symbol, Decimal]
    weight_max: int = WEIGHT_MAX


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read. ``repaired``: the object stood in a code fence, which was taken off."""

    opinions: tuple[Opinion, ...]
    refusals: tuple[Refusal, ...] = ()
    repaired: bool = False


class Faulty(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer; ``refusals`` are the items' faults where every item has one."""

    code: FaultCode
    detail: str = ""
    refusals: tuple[Refusal, ...] = ()

    @property
    def reason(self) -> AbstainReason:
        """As what it is recorded."""
        return _REASONS.get(self.code, "invalid")


def asked_for(shown: Snapshot) -> AskedFor:
    """What an answer to a prompt with that snapshot must answer to."""
    marks = {known.symbol: Decimal(known.chart.mark) for known in shown.symbols}
    return AskedFor(schema=shown.schema, snapshot=digest(shown), marks=marks)


def answer_schema(asked: AskedFor) -> str:
    """The JSON schema of the answer for a provider that takes one, as text. The same symbols give the same text."""
    return provider_schema(asked.marks)


def read_answer(raw: str, asked: AskedFor, *, lenient: bool = False) -> Answer | Faulty:
    """The opinions in an answer, or what is wrong with it; it raises nothing, whatever the text is.

    An item that breaks a rule is left out and told of in ``refusals``; of a symbol that comes twice, both are. With
    ``lenient`` one code fence round the whole is taken off; what can be read without that reads the same with it.
    """
    read = read_json(raw, lenient=lenient)
    if isinstance(read, Fault):
        return Faulty(code=read.code, detail=read.detail)
    items = _items(read.value, asked)
    if isinstance(items, Fault):
        return Faulty(code=items.code, detail=items.detail)
    opinions, refusals = _judged(items, asked)
    if refusals and not opinions:
        return Faulty(code="no_item", detail=_listed(refusals), refusals=tuple(refusals))
    return Answer(opinions=tuple(opinions), refusals=tuple(refusals), repaired=read.repaired)


def repair_message(faulty: Faulty) -> Message:
    """What the model is told, once, of what was wrong; no word of its answer is in it."""
    words = [_MENDING[faulty.code]]
    words += [f"Decision {refusal.item + 1}: {refusal.fault}." for refusal in faulty.refusals]
    words.append("Answer again: the one JSON object that was described, for the same snapshot, and nothing else.")
    return Message("user", "\n".join(words))


def _items(value: Json, asked: AskedFor) -> Sequence[Json] | Fault:
    """The items of an answer whose outer form is right to the letter."""
    if not isinstance(value, dict):
        return Fault("wrong_form", "it is no object")
    missing = [name for name in _FIELDS if name not in value]
    if missing:
        return Fault("wrong_form", f"it has no field {missing[0]}")
    unknown = [name for name in value if name not in _FIELDS]
    if unknown:
        return Fault("wrong_form", _unknown(unknown[0]))
    if value["schema"] != asked.schema:
        return Fault("wrong_schema", f"schema is not {asked.schema}")
    if value["snapshot"] != asked.snapshot:
        return Fault("wrong_snapshot", f"snapshot is not {asked.snapshot}")
    decisions = value["decisions"]
    if not isinstance(decisions, list):
        return Fault("wrong_form", "decisions is no list")
    if len(decisions) > SYMBOLS_MAX:
        return Fault("too_many_items", f"there are {len(decisions)} decisions")
    return decisions


def _judged(items: Sequence[Json], asked: AskedFor) -> tuple[list[Opinion], list[Refusal]]:
    """The items that keep every rule, in their order, and what is wrong with the others; counted from 0."""
    named = Counter(item["symbol"] for item in items if isinstance(item, dict) and isinstance(item.get("symbol"), str))
    opinions: list[Opinion] = []
    refusals: list[Refusal] = []
    for number, item in enumerate(items):
        found = _decision(item)
        judged = found if isinstance(found, str) else _opinion(found, asked, times=named[found.symbol])
        if isinstance(judged, str):
            refusals.append(Refusal(item=number, fault=judged))
        else:
            opinions.append(judged)
    return opinions, refusals


def _decision(item: Json) -> Decision | str:
    """The item in its form, or what is wrong with that."""
    if isinstance(item, dict):
        # Many a model writes a price as a number, which the parser has kept to the digit.
        level = item.get("invalidation")
        if isinstance(level, int | Decimal) and not isinstance(level, bool):
            item = {**item, "invalidation": str(level)}
    try:
        return msgspec.convert(item, Decision)
    except msgspec.ValidationError as error:
        return _worded(str(error))
    except UnicodeEncodeError:
        return "a text has half a letter"  # JSON lets half of a surrogate pair be written


def _opinion(decision: Decision, asked: AskedFor, *, times: int) -> Opinion | str:
    """The opinion, or what is wrong with what it says."""
    symbol = Symbol(decision.symbol)
    mark = asked.marks.get(symbol)
    if mark is None:
        return "symbol was not asked about"
    if times > 1:
        return "symbol comes more than once"
    if decision.weight_bps > asked.weight_max:
        return f"weight_bps is above {asked.weight_max}"
    if decision.action in {"long", "short"} and decision.weight_bps == 0:
        return f"action is {decision.action} and weight_bps is 0"
    if any(unicodedata.category(letter) in _UNPRINTABLE for letter in decision.reason):
        return "reason has control or format characters"
    fault = _level_fault(decision, mark)
    if fault:
        return fault
    return Opinion(
        symbol=symbol,
        action=decision.action,
        weight=decision.weight_bps,
        confidence=decision.confidence,
        horizon=decision.horizon_minutes,
        invalidation=None if decision.invalidation is None else Decimal(text(Decimal(decision.invalidation))),
        reason=decision.reason,
    )


def _level_fault(decision: Decision, mark: Decimal) -> str:
    """What is wrong with the price at which the opinion would be wrong; nothing if there is none."""
    if decision.invalidation is None:
        return ""
    if not _PRICE.fullmatch(decision.invalidation):
        return "invalidation is no plain price"
    level = Decimal(decision.invalidation)
    if not mark / INVALIDATION_RATIO_MAX <= level <= mark * INVALIDATION_RATIO_MAX:
        return "invalidation is nowhere near the mark"
    wrong = level >= mark if decision.action == "long" else decision.action == "short" and level <= mark
    return "invalidation is on the wrong side of the mark" if wrong else ""


def _worded(error: str) -> str:
    """What msgspec says of an item, without a word of the item but the name of a field that it may not have."""
    unknown = _UNKNOWN_FIELD.fullmatch(error)
    if unknown:
        return _unknown(unknown[1])
    if error.startswith("Invalid enum value"):
        return f"action is none of {', '.join(ACTIONS)}"
    return error.replace("`", "").replace(" - at $.", " in ")


def _unknown(name: str) -> str:
    told = f" {name}" if _FIELD_NAME.fullmatch(name) else ""
    return f"a field{told} that it may not have"


def _listed(refusals: Sequence[Refusal]) -> str:
    return "; ".join(f"decision {refusal.item}: {refusal.fault}" for refusal in refusals)
