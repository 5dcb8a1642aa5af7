"""Reads the text of a model's answer as one JSON value, strictly: what other readers let pass is a fault here.

A field that stands twice, NaN and Infinity, words round the JSON, deep nesting, great length. No float is ever made.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

from oxbot.core.advice_bounds import ANSWER_BYTES_MAX, ANSWER_DEPTH_MAX

FaultCode = Literal[
    "empty", "too_long", "prose", "truncated", "not_json", "duplicate_key", "not_a_number", "too_deep",
    "wrong_form", "wrong_schema", "wrong_snapshot", "too_many_items", "no_item",
]  # fmt: skip

Json = None | bool | int | Decimal | str | list["Json"] | dict[str, "Json"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*\\?"?|[\[{]|[\]}]', re.DOTALL)
_FENCE = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(.*)\n[ \t]*```", re.DOTALL)
_SPACE = " \t\r\n"
_DIGITS_MAX = 64
"""More digits no number of an answer has; it keeps numbers from costing time."""


class Fault(NamedTuple):
    """Why the text cannot be read."""

    code: FaultCode
    detail: str = ""


class Read(NamedTuple):
    """The value, and whether a code fence was taken off for it."""

    value: Json
    repaired: bool = False


class _Stop(Exception):
    """Carries a fault out of the parser."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def read_json(raw: str, *, lenient: bool = False) -> Read | Fault:
    """The value that the whole text is. With ``lenient``, one code fence round it may be taken off."""
    if len(raw) > ANSWER_BYTES_MAX or len(raw.encode("utf-8", "surrogatepass")) > ANSWER_BYTES_MAX:
        return Fault("too_long", f"it has more than {ANSWER_BYTES_MAX} bytes")
    text = raw.strip(_SPACE)
    if not text:
        return Fault("empty")
    fenced = _FENCE.fullmatch(text) if lenient else None
    body = fenced[1].strip(_SPACE) if fenced else text
    if not body.startswith(("{", "[")):
        return Fault("prose", "it does not begin with a JSON object")
    if _depth(body) > ANSWER_DEPTH_MAX:
        return Fault("too_deep", f"it is nested more than {ANSWER_DEPTH_MAX} deep")
    return _parsed(body, repaired=fenced is not None)


def _parsed(body: str, *, repaired: bool) -> Read | Fault:
    try:
        value: Json = json.loads(
            body, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_whole
        )
    except _Stop as stop:
        return stop.fault
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return Fault("prose", "there is text after the JSON object")
        code: FaultCode = "truncated" if _unfinished(body) else "not_json"
        return Fault(code, f"{error.msg} at character {error.pos}")
    return Read(value, repaired)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Stop(Fault("duplicate_key", "a field stands twice in one object"))
    return found


def _constant(_name: str) -> Json:
    raise _Stop(Fault("not_a_number", "NaN or Infinity"))


def _number(digits: str) -> Decimal:
    _check_length(digits)
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise _Stop(Fault("not_a_number", "a number with an impossible exponent")) from None


def _whole(digits: str) -> int:
    _check_length(digits)
    return int(digits)


def _check_length(digits: str) -> None:
    if len(digits) > _DIGITS_MAX:
        raise _Stop(Fault("not_a_number", f"a number of more than {_DIGITS_MAX} digits"))


def _depth(body: str) -> int:
    """How deep brackets are nested, those within strings left out."""
    depth = deepest = 0
    for token in _TOKEN.finditer(body):
        match token[0]:
            case "{" | "[":
                depth += 1
                deepest = max(deepest, depth)
            case "}" | "]":
                depth -= 1
            case _:
                continue
    return deepest


def _unfinished(body: str) -> bool:
    """Whether the text ends within a string or before every bracket is closed, with none closed too often."""
    depth = 0
    for token in _TOKEN.finditer(body):
        if token[0][0] == '"':
            if not _whole_string(token[0]):
                return True
        else:
            depth += 1 if token[0] in "{[" else -1
            if depth < 0:
                return False
    return depth > 0


def _whole_string(token: str) -> bool:
    return re.fullmatch(r'"(?:[^"\\]|\\.)*"', token, re.DOTALL) is not None
