"""What a person gives as JSON, checked beyond its types, and the words for what is wrong: field, value, bounds."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from types import NoneType, UnionType
from typing import Annotated, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from events.errors import OxbotError
from oxbot.core import money

DECIMAL_DIGITS_MAX = 40
VALUE_SHOWN_MAX = 60

StructT = TypeVar("StructT", bound=msgspec.Struct)


class BadField(OxbotError):
    """A field that its type does not have, or a value that it cannot have; the text says where."""


class _Place(NamedTuple):
    path: tuple[str, ...]
    kind: object
    value: object


def read_given(given: object, kind: type[StructT], *, strict: bool = True) -> StructT:
    """What was given, as ``kind``; text counts as what it says unless ``strict``. Raises ``BadField``.

    ``kind`` may have ``bounds``, words by path ("limits.drawdown_max"; "*" for the keys of an object).
    """
    try:
        read = msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise BadField(explained(error, given, kind, strict=strict)) from error
    check_given(given, read)
    return read


def explained(error: msgspec.ValidationError, given: object, kind: type[msgspec.Struct], *, strict: bool = True) -> str:
    """Why what was given is not of the kind; the error's own words where no single value of it is wrong.

    Likewise for a kind without ``bounds``: its values, such as passwords, are not repeated.
    """
    bounds = _bounds(kind)
    place = _faulty(given, kind, (), strict=strict) if bounds else None
    # What its type says of a text is better told by the error than by "text".
    if place is None or (get_origin(place.kind) is Annotated and not _bound(place.path, bounds)):
        return str(error)
    return _words(place, bounds)


def check_given(given: object, read: msgspec.Struct) -> None:
    """Raise ``BadField`` for what is in ``given`` and not in ``read``, which was made of it, and for endless numbers.

    Values that facts are made of pass over fields that they do not know, for the sake of newer programs' facts.
    """
    _check(given, read, (), _bounds(type(read)))


def exact_number(written: str) -> Decimal:
    """A number of a JSON text, with every digit that is written. Raises ``ValueError`` for one beyond all bounds."""
    try:
        return Decimal(written)
    except InvalidOperation as error:
        raise ValueError(f"Number out of range: {written[:DECIMAL_DIGITS_MAX]}") from error


def number_or_text(written: str) -> Decimal | str:
    """The number of a JSON text, or the text where it is beyond all bounds: for looking at what was given."""
    try:
        return exact_number(written)
    except ValueError:
        return written


def setting_text(given: object) -> str:
    """A strategy's parameter as text, given as that, as an exact number or as true or false. Else ``ValueError``."""
    match given:
        case str():
            return given
        case bool():
            return "true" if given else "false"
        case int() | Decimal() if _is_plain(Decimal(given)):
            return money.text(Decimal(given))
        case int() | Decimal():
            raise ValueError(f"must be a number of at most {DECIMAL_DIGITS_MAX} digits")
        case float():
            raise ValueError("must be an exact number, not a float")
        case _:
            raise ValueError(f"must be text, a number, or true or false, not {_JSON.get(type(given), 'anything else')}")


_JSON: dict[type, str] = {list: "an array", dict: "an object", type(None): "null"}
_NUMBER_TEXT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER = f"a number of at most {DECIMAL_DIGITS_MAX} digits"
_KINDS: dict[object, str] = {int: "a whole number", Decimal: _NUMBER, bool: "true or false", str: "text"}


def _check(given: object, read: object, path: tuple[str, ...], bounds: Mapping[str, str]) -> None:
    if isinstance(read, msgspec.Struct) and isinstance(given, dict):
        names = dict(zip(read.__struct_encode_fields__, read.__struct_fields__, strict=True))
        for name, value in given.items():
            if name not in names:
                raise BadField(f"Object contains unknown field `{name}` - at `{_at(path)}`")
            _check(value, getattr(read, names[name]), (*path, name), bounds)
    elif isinstance(read, dict) and isinstance(given, dict):
        for name, value in given.items():
            _check(value, read[name], (*path, name), bounds)
    elif isinstance(read, tuple | list) and isinstance(given, list):
        for number, (value, item) in enumerate(zip(given, read, strict=True)):
            _check(value, item, (*path, str(number)), bounds)
    elif isinstance(read, Decimal) and not (_is_plain(read) and _is_written_plainly(given)):
        raise BadField(_words(_Place(path, Decimal, given), bounds))


def _faulty(given: object, kind: object, path: tuple[str, ...], *, strict: bool) -> _Place | None:
    """The innermost value that cannot be what its type asks for; None where each can, for all that is known here."""
    for name, value, inner in _parts(given, kind):
        found = _faulty(value, inner, (*path, name), strict=strict)
        if found is not None:
            return found
    if not path or any(_holds(given, option) for option in _options(kind)):
        return None
    try:
        read = msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError:
        return _Place(path, kind, given)
    plain = not isinstance(read, Decimal) or (_is_plain(read) and _is_written_plainly(given))
    return None if plain else _Place(path, kind, given)


def _parts(given: object, kind: object) -> Iterator[tuple[str, object, object]]:
    """What an object or an array is made of: name, value and type."""
    for option in _options(kind):
        if isinstance(given, dict) and _is_struct(option):
            fields = msgspec.structs.fields(option)  # type: ignore[arg-type]  # it is a struct
            yield from (
                (known.encode_name, given[known.encode_name], known.type)
                for known in fields
                if known.encode_name in given
            )
        elif isinstance(given, dict) and get_origin(option) is dict:
            yield from ((str(name), value, get_args(option)[1]) for name, value in given.items())
        elif isinstance(given, list) and get_origin(option) is tuple:
            yield from ((str(number), value, get_args(option)[0]) for number, value in enumerate(given))


def _holds(given: object, option: object) -> bool:
    """Whether the value is an object or an array as the type asks for, whatever is in it."""
    if isinstance(given, dict):
        return _is_struct(option) or get_origin(option) is dict
    return isinstance(given, list) and get_origin(option) is tuple


def _options(kind: object) -> list[object]:
    """The types that a value of this one may be of, without None."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return [option for one in get_args(kind) if one is not NoneType for option in _options(one)]
    return [kind]


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _words(place: _Place, bounds: Mapping[str, str]) -> str:
    words = _kind_words(place.kind)
    bound = "" if words == _KINDS[bool] else _bound(place.path, bounds)
    said = f"{words}, {bound}" if bound else words
    return f"`{_at(place.path)}` must be {said}, not {_shown(place.value)}"


def _kind_words(kind: object) -> str:
    option = _options(kind)[0]
    option = getattr(option, "__supertype__", option)
    if get_origin(option) is Literal:
        return f"one of {', '.join(map(str, get_args(option)))}"
    if _is_struct(option):
        names = option.__struct_encode_fields__[:3]  # type: ignore[attr-defined]  # it is a struct
        return f"an object with fields such as {', '.join(names)}"
    if get_origin(option) in {tuple, list}:
        return "an array"
    return _KINDS.get(option, "an object")


def _bound(path: tuple[str, ...], bounds: Mapping[str, str]) -> str:
    """The words for the path, in which one name may stand for any."""
    anywhere = (".".join((*path[:at], "*", *path[at + 1 :])) for at in range(len(path)))
    return next((bounds[name] for name in (".".join(path), *anywhere) if name in bounds), "")


def _bounds(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    words: Mapping[str, str] = getattr(kind, "bounds", {})
    return words


def _at(path: tuple[str, ...]) -> str:
    return ".".join(("$", *path))


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else ""
    if isinstance(value, str):
        text = repr(value)
    text = text or msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_SHOWN_MAX else f"{text[:VALUE_SHOWN_MAX]}..."


def _is_written_plainly(given: object) -> bool:
    """Not as only Python reads a number: with underscores, blanks, or the digits of another script."""
    return not isinstance(given, str) or _NUMBER_TEXT.fullmatch(given) is not None


def _is_plain(number: Decimal) -> bool:
    """Neither NaN nor infinite, nor small to write down and huge to compute with."""
    _, digits, exponent = number.as_tuple()
    return isinstance(exponent, int) and len(digits) + abs(exponent) <= DECIMAL_DIGITS_MAX
