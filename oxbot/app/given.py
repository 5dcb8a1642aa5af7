"""What a person gives as JSON, checked beyond its types: no field that nobody reads, no number of endless digits."""

from decimal import Decimal

import msgspec

from events.errors import OxbotError

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


def _is_plain(number: Decimal) -> bool:
    """Neither NaN nor infinite, nor small to write down and huge to compute with."""
    _, digits, exponent = number.as_tuple()
    return isinstance(exponent, int) and len(digits) + abs(exponent) <= DECIMAL_DIGITS_MAX
