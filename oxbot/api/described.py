"""What the API's description says of every operation alike: headers, parameters, problems, how one is known."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TypeAlias

from oxbot.api.idempotency import HEADER as IDEMPOTENCY_KEY
from oxbot.api.problems import MEDIA_TYPE, TITLES

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | dict[str, Json] | None"

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}

HEADERS: Mapping[str, tuple[str, Json]] = {
    "ETag": ("Names the answer to the letter; send it back in `If-None-Match`.", _TEXT),
    "Idempotency-Replayed": ("`true` where the answer is that of an earlier request under the same key.", _TEXT),
    "Location": ("Where what was made is.", _TEXT),
    "RateLimit": ("For how many more requests there is room, and the seconds until there is room for all.", _TEXT),
    "RateLimit-Policy": ("How many requests there is room for in how many seconds.", _TEXT),
    "Retry-After": ("Seconds to wait before another try.", _COUNT),
    "X-Lag": ("How many events the views were behind the log.", _COUNT),
    "X-Position": ("The position of the log that the answer is of; of a command, one by which it is recorded.", _COUNT),
    "X-Request-Id": ("Names the request in the logs.", _TEXT),
}
"""Headers of answers: what they say, and their schema."""

_ALWAYS = ("X-Request-Id", "RateLimit", "RateLimit-Policy")
_OF_STATUS: Mapping[int, tuple[str, ...]] = {
    405: ("Allow",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

PARAMETERS: Mapping[str, Json] = {
    "IdempotencyKey": {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "required": False,
        "description": "A name of the caller's own for this request: a repeat within a day is answered the same and "
        "done no second time; 409 for other content under the same one.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
        "example": "7f0c9a5e-0001",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The bot's version that the command is for, in quotes; 412 with the actual one if it moved.",
        "schema": {"type": "string", "pattern": r'^(\*|"?[0-9]{1,18}"?)$'},
        "example": '"12"',
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "Tags of answers that the caller has; 304 if the answer is one of them.",
        "schema": {"type": "string"},
        "example": '"3f2a..."',
    },
}

NO_NUL = r"^[^\x00]*$"

EVENT_STREAM = "text/event-stream"

EVENT: Json = {
    "type": "object",
    "description": "Each of the events.",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}

SECURITY: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of 15 minutes, from `POST /api/v1/sessions`, or an API token (`oxb_...`).",
    }
}

DESCRIPTION = (
    "Everything that running and auditing a fleet of bots needs. Times are RFC 3339 in UTC; amounts are decimals in "
    "strings, in bodies numbers too; identifiers are opaque. Problems are RFC 9457. Lists come in pages: "
    "send `next` back as `cursor`. What a command answers with in `X-Position`, a read waits for as `min_position`."
)

_MEANINGS = {
    304: "The answer is one that the caller has.",
    400: "The request is malformed.",
    401: "No token, or none that is good.",
    403: "The caller may not do this.",
    404: "There is no such thing, or the caller may not know of it.",
    408: "The content did not arrive in time.",
    409: "It is not as the request takes it to be.",
    410: "It has left the database for an archive.",
    412: "The bot is not at the version that the command was meant for.",
    413: "The content is too long.",
    414: "Path and query are too long.",
    415: "The content is of another type.",
    422: "The content is not what it must be, or there can be no such thing.",
    429: "Too many requests.",
    500: "A bug; the log has it under the request id.",
    503: "Not just now; nothing that was asked for is lost by asking again.",
    504: "The views did not reach the position in time.",
}


def problem_name(status: int) -> str:
    """The name of the component that describes a problem of this status."""
    return title_of(status).replace(" ", "").replace("-", "")


def problem_responses(statuses: Sequence[int], schema: Json) -> dict[str, Json]:
    """A response for problems of each status, by its name."""
    return {
        problem_name(status): {
            "description": meaning_of(status),
            "headers": header_references(*_OF_STATUS.get(status, ())),
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def header_references(*names: str) -> dict[str, Json]:
    """The headers that every answer has, and these."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *names)}


def parameter_reference(name: str) -> Json:
    """The component of a parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def headers() -> dict[str, Json]:
    """The components of headers; none is required of every answer."""
    return {name: {"description": text, "schema": schema} for name, (text, schema) in HEADERS.items()}


def meaning_of(status: int) -> str:
    """What an answer of that status says."""
    return _MEANINGS.get(status) or f"{title_of(status)}."


def title_of(status: int) -> str:
    """The status in words."""
    return TITLES.get(status) or HTTPStatus(status).phrase
