"""Reads what a request carries: its query and its JSON body, checked against a msgspec type."""

import asyncio
from functools import cache
from hashlib import sha256
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from oxbot.api.headers import asked
from oxbot.api.problems import Problem
from oxbot.app.given import BadField, check_given, exact_number, explained, number_or_text

BODY_BYTES_MAX = 64 * 1024

# So that nobody has us read a number of thousands of digits.
_LENGTH_DIGITS_MAX = 9

_NUL_ESCAPED = b"\\u0000"

_GIVEN = msgspec.json.Decoder(float_hook=number_or_text)

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query or body of an operation that takes none."""


def read_query(request: Request, kind: type[StructT]) -> StructT:
    """The query string as ``kind``. ``Problem`` 400 names a parameter that is unknown, repeated or wrong."""
    given = request.query_params.multi_items() if request.scope["query_string"] else []
    query = dict(given)
    if len(query) != len(given):
        raise Problem(400, "a query parameter is given more than once")
    if any("\x00" in value for value in query.values()):
        raise Problem(400, "query: no text may hold a NUL")
    for name in _moments(kind) & query.keys():
        if _is_fraction(query[name]):
            raise Problem(400, f"query: `{name}` is no moment")
    try:
        return msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, f"query: {error}") from error


async def read_body(request: Request, kind: type[StructT], *, required: bool) -> StructT:
    """The JSON body as ``kind``; where none is required, none is ``kind()``.

    ``Problem`` 413, 408 or 415 for one that is too long, too slow or of another type; 400 for what is no JSON; 422 that
    names the field that is wrong.
    """
    content = await _content(request)
    request.state.body_digest = sha256(content).digest()
    if not content and not required:
        return kind()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "the body must be application/json")
    try:
        given, body = _decoded(content, kind)
    except msgspec.ValidationError as error:
        raise Problem(422, f"body: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "the body is not valid JSON") from error
    try:
        check_given(given, body)
    except BadField as error:
        raise Problem(422, f"body: {error}") from error
    if _NUL_ESCAPED in content and _holds_nul(given):
        raise Problem(422, "body: no text may hold a NUL")
    return body


def _decoded(content: bytes, kind: type[StructT]) -> tuple[object, StructT]:
    """What was given, as it is and as the kind; a number may be too long to be either."""
    given = _GIVEN.decode(content)
    try:
        return given, _decoder(kind).decode(content)
    except msgspec.ValidationError as error:
        raise Problem(422, f"body: {explained(error, given, kind)}") from error


def check_length(request: Request) -> None:
    """``Problem`` 413 for a request that announces more than ``BODY_BYTES_MAX``."""
    announced = next(iter(asked(request.scope, b"content-length")), "0")
    if not announced.isdecimal() or len(announced) > _LENGTH_DIGITS_MAX or int(announced) > BODY_BYTES_MAX:
        raise Problem(413, f"a body has at most {BODY_BYTES_MAX} bytes")


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response with the value as JSON."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


@cache
def _moments(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The parameters that may be moments."""
    found = msgspec.inspect.type_info(kind)
    fields = found.fields if isinstance(found, msgspec.inspect.StructType) else ()
    return frozenset(field.encode_name for field in fields if _may_be_moment(field.type))


def _may_be_moment(kind: msgspec.inspect.Type) -> bool:
    match kind:
        case msgspec.inspect.Metadata():
            return _may_be_moment(kind.type)
        case msgspec.inspect.UnionType():
            return any(_may_be_moment(each) for each in kind.types)
        case _:
            return isinstance(kind, msgspec.inspect.DateTimeType)


def _is_fraction(text: str) -> bool:
    """Whether it is a number but for digits alone, which would be taken for seconds since 1970."""
    try:
        float(text)
    except ValueError:
        return False
    return not text.isdecimal()


def _holds_nul(given: object) -> bool:
    """Whether a text inside has a NUL, which Postgres takes in none."""
    left = [given]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and "\x00" in value:
            return True
    return False


def _decoder(kind: type[StructT]) -> msgspec.json.Decoder[StructT]:
    # A number of which the type does not say that it is a float keeps all its digits.
    return msgspec.json.Decoder(kind, float_hook=exact_number)


async def _content(request: Request) -> bytes:
    content = bytearray()
    seconds: float = request.app.state.body_seconds
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > BODY_BYTES_MAX:
                    raise Problem(413, f"a body has at most {BODY_BYTES_MAX} bytes")
    except TimeoutError as error:
        raise Problem(408, f"the body did not arrive within {seconds:g} s") from error
    except ClientDisconnect as error:
        raise Problem(400, "the body ended early") from error
    return bytes(content)
