"""What a person gives as JSON, checked beyond its types: no field that nobody reads, no number of endless digits."""

from decimal import Decimal, InvalidOperation

import msgspec

from events.errors import OxbotError
from oxbot.core import money

DECIMAL_DIGITS_MAX = 40


class BadField(OxbotError):
    """A field that its type does not have, or a number that cannot be computed with; the text says where."""


def check_given(given: object, read: object, path: str = "$") -> None:
    """Raise ``BadField`` for what is in ``given`` and not in ``read``, which was made of it, and for such numbers.

    Values that facts are made of pass over fields that they do not know, for the sake of newer programs' facts.
    """
    if isinstance(read, msgspec.Struct) and isinstance(given, dict):
        names = dict(zip(read.__struct_encode_fields__, read.__struct_fields__, strict=True))
        for name, value in given.items():
            if name not in names:
                raise BadField(f"Object contains unknown field `{name}` - at `{path}`")
            check_given(value, getattr(read, names[name]), f"{path}.{name}")
    elif isinstance(read, dict) and isinstance(given, dict):
        for name, value in given.items():
            check_given(value, read[name], f"{path}.{name}")
    elif isinstance(read, tuple | list) and isinstance(given, list):
        for number, (value, item) in enumerate(zip(given, read, strict=True)):
            check_given(value, item, f"{path}[{number}]")
    elif isinstance(read, Decimal) and not _is_plain(read):
        raise BadField(f"Expected a number of at most {DECIMAL_DIGITS_MAX} digits - at `{path}`")


def exact_number(written: str) -> Decimal:
    """A number of a JSON text, with every digit that is written. Raises ``ValueError`` for one beyond all bounds."""
    try:
        return Decimal(written)
    except InvalidOperation as error:
        raise ValueError(f"Number out of range: {written[:DECIMAL_DIGITS_MAX]}") from error


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


def _is_plain(number: Decimal) -> bool:
    """Neither NaN nor infinite, nor small to write down and huge to compute with."""
    _, digits, exponent = number.as_tuple()
    return isinstance(exponent, int) and len(digits) + abs(exponent) <= DECIMAL_DIGITS_MAX
