"""What the REST and WebSocket sides share: parameters as they arrive, refusals as they leave, numbers as text."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple, TypeVar

import msgspec

Row = Mapping[str, object]
T = TypeVar("T", bound=str)

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_NUMBER_LENGTH_MAX = 40

STATUS: Mapping[str, int] = {
    "50000": 400,
    "50001": 503,
    "50002": 400,
    "50004": 400,
    "50011": 429,
    "50013": 429,
    "50014": 400,
    "50015": 400,
    "50026": 500,
    "50115": 405,
    "50120": 401,
}
"""HTTP statuses of codes that are not sent with 200; 50101 to 50114 are sent with 401."""

MESSAGES: Mapping[str, str] = {
    "50001": "Service temporarily unavailable. Please try again later.",
    "50004": "API endpoint request timeout (does not mean that the request was successful or failed, please check the "
    "request result)",
    "50011": "Too Many Requests",
    "50013": "Systems are busy. Please try again later.",
    "50026": "System error. Please try again later",
    "50061": "You've reached the maximum order rate limit for this account.",
    "51008": "Order failed. Insufficient balance in account",
    "51016": "Client order ID already exists.",
    "51149": "Order timed out. Please try again later.",
}
"""What OKX says with a code that a fault names without words."""


class ApiError(Exception):
    """A request that is refused as a whole: OKX's code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        if self.code.startswith(("5010", "5011")) and self.code != "50115":
            return STATUS.get(self.code, 401)
        return STATUS.get(self.code, 200)


class Reply(NamedTuple):
    """The envelope of an answer."""

    data: Sequence[Row] | Sequence[Sequence[str]]
    code: str = "0"
    message: str = ""
    status: int = 200
    timed: bool = False
    """Orders' answers also say when they came in and went out."""


class Params:
    """The parameters of one request, or of one row of a batch; a number may come as text or as a number."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """Empty if it is not there."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | Decimal):
            return str(value)
        raise ApiError("51000", f"Parameter {name} error")

    def needed(self, name: str) -> str:
        """Refused without it."""
        text = self.text(name)
        if not text:
            raise ApiError("50014", f"Parameter {name} cannot be empty.")
        return text

    def one_of(self, name: str, allowed: Sequence[T]) -> T:
        """One of these words."""
        text = self.needed(name)
        for word in allowed:
            if word == text:
                return word
        raise ApiError("51000", f"Parameter {name} error")

    def flag(self, name: str) -> bool:
        """False if it is not there."""
        text = self.text(name, "false").lower()
        if text not in ("true", "false"):
            raise ApiError("51000", f"Parameter {name} error")
        return text == "true"

    def number(self, name: str) -> Decimal | None:
        """None if it is not there."""
        text = self.text(name)
        if not text:
            return None
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ApiError("51000", f"Parameter {name} error") from None
        if not number.is_finite() or len(text) > _NUMBER_LENGTH_MAX:
            raise ApiError("51000", f"Parameter {name} error")
        return number

    def needed_number(self, name: str) -> Decimal:
        """Refused without it."""
        self.needed(name)
        number = self.number(name)
        assert number is not None  # noqa: S101 - needed() has looked
        return number

    def whole(self, name: str) -> int | None:
        """A whole number, or None if it is not there."""
        number = self.number(name)
        if number is None:
            return None
        if number != int(number):
            raise ApiError("51000", f"Parameter {name} error")
        return int(number)

    def limit(self, maximum: int, default: int = 100) -> int:
        """How many rows: OKX gives as many as it can if more are asked for."""
        limit = self.whole("limit")
        if limit is None:
            return default
        if limit < 1:
            raise ApiError("51000", "Parameter limit error")
        return min(limit, maximum)

    def values(self) -> Mapping[str, object]:
        """As they came."""
        return self._values

    def rows(self, name: str) -> Sequence["Params"]:
        """A list of objects inside the parameters; none if it is not there."""
        value = self._values.get(name)
        if value is None:
            return ()
        return many(value)


def decoded_body(body: bytes) -> object:
    """What a POST brought; an empty body is no parameters. Refuses with 50002 what is no JSON."""
    if not body:
        return {}
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError:
        raise ApiError("50002", "JSON syntax error") from None


def one(value: object) -> Params:
    """The parameters of a request that is one object."""
    if not isinstance(value, dict):
        raise ApiError("50002", "JSON syntax error")
    return Params(value)


def many(value: object) -> Sequence[Params]:
    """The parameters of each row of a batch."""
    if not isinstance(value, list):
        raise ApiError("50002", "JSON syntax error")
    return [one(row) for row in value]


def say(number: Decimal | None) -> str:
    """A number as OKX writes it: plain, no zeros at its end; empty for None."""
    if number is None:
        return ""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def yes(flag: bool) -> Literal["true", "false"]:  # noqa: FBT001 - it says a boolean in OKX's words
    """A boolean as OKX writes it."""
    return "true" if flag else "false"
