"""The API's description in OpenAPI 3.1, generated from the operations and their msgspec types."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import cast

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing
from oxbot.api.described import (
    DESCRIPTION,
    EVENT,
    EVENT_STREAM,
    NO_NUL,
    PARAMETERS,
    SECURITY,
    Json,
    header_references,
    headers,
    meaning_of,
    parameter_reference,
    problem_name,
    problem_responses,
)
from oxbot.api.operations import PREFIX, Call, Operation, operation
from oxbot.api.problems import PROBLEM_KINDS, ProblemDetails

TITLE = "oxbot"
VERSION = "1"

_IN_PATH = re.compile(r"{(\w+)}")
_PATH_SCHEMAS: dict[str, Json] = {"position": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}}
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 200}
_TEMPLATE = "#/components/schemas/{name}"
_ALWAYS = (400, 401, 403, 404, 414, 429, 500, 503)
_NO_CONTENT = 204
_NOT_MODIFIED = 304


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A description of this API in OpenAPI 3.1."""

    openapi: str
    info: dict[str, str]
    servers: list[dict[str, str]]
    tags: list[dict[str, str]]
    security: list[dict[str, list[str]]]
    paths: dict[str, dict[str, msgspec.Raw]]
    components: dict[str, dict[str, msgspec.Raw]]


def describe(operations: Sequence[Operation]) -> bytes:
    """The document of these operations, as JSON."""
    schemas, components = _schemas(operations)
    methods: dict[str, dict[str, Json]] = defaultdict(dict)
    for one in operations:
        methods[one.path][one.method.lower()] = _describe(one, schemas, components)
    paths: dict[str, Json] = dict(methods)
    queries = {one.query.__name__ for one in operations}
    problems = sorted({status for one in operations for status in _problems(one)})
    document: Json = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({_tag(one) for one in operations})],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "headers": headers(),
            "parameters": dict(PARAMETERS),
            "responses": problem_responses(problems, schemas[ProblemDetails]),
            "securitySchemes": SECURITY,
        },
    }
    return msgspec.json.encode(document)


async def show_description(call: Call[Nothing, Nothing]) -> Response:
    """The document, made once when the application was."""
    return Response(call.request.app.state.openapi, media_type="application/json")


OPERATIONS: tuple[Operation, ...] = (
    operation(
        show_description,
        name="show_description",
        method="GET",
        path="/openapi.json",
        least="viewer",
        of="installation",
        summary="This description.",
        query=Nothing,
        body=Nothing,
        answer=Document,
    ),
)


def _schemas(operations: Sequence[Operation]) -> tuple[dict[object, Json], dict[str, dict[str, Json]]]:
    """A reference for every type that an operation names, and the components that they refer to."""
    types: list[object] = [ProblemDetails]
    for one in operations:
        types.extend(kind for kind in (one.query, one.body, one.answer) if kind not in types)
    references, components = msgspec.json.schema_components(types, ref_template=_TEMPLATE)
    properties = cast("dict[str, dict[str, Json]]", components["ProblemDetails"]["properties"])
    properties["type"]["examples"] = [f"urn:oxbot:problem:{kind}" for kind in PROBLEM_KINDS]
    return dict(zip(types, references, strict=True)), components


def _describe(one: Operation, schemas: dict[object, Json], components: dict[str, dict[str, Json]]) -> Json:
    described: dict[str, Json] = {
        "operationId": one.name,
        "summary": one.summary,
        "tags": [_tag(one)],
        "x-least-role": one.least,
        "parameters": [
            *_path_parameters(one),
            *_query_parameters(components[one.query.__name__]),
            *_header_parameters(one),
        ],
        "responses": _responses(one, schemas),
    }
    if one.body is not Nothing:
        content: Json = {"application/json": {"schema": schemas[one.body]}}
        described["requestBody"] = {"required": one.body_required, "content": content}
    if one.least == "anyone":
        described["security"] = []
    return described


def _tag(one: Operation) -> str:
    """The resource that the path begins with."""
    return one.path.removeprefix(PREFIX).split("/")[1].removesuffix(".json")


def _path_parameters(one: Operation) -> Iterator[Json]:
    for name in _IN_PATH.findall(one.path):
        yield {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS.get(name, _NAME)}


def _query_parameters(query: dict[str, Json]) -> Iterator[Json]:
    needed = cast("Sequence[str]", query.get("required", ()))
    for name, schema in cast("dict[str, dict[str, Json]]", query["properties"]).items():
        # Postgres takes a NUL in no text.
        text: dict[str, Json] = {"pattern": NO_NUL} if schema.get("type") == "string" else {}
        yield {"name": name, "in": "query", "required": name in needed, "schema": text | schema}


def _header_parameters(one: Operation) -> Iterator[Json]:
    if one.method == "GET":
        yield parameter_reference("IfNoneMatch")
    if one.method == "POST":
        yield parameter_reference("IdempotencyKey")
    if one.method != "GET" and one.of == "bot":
        yield parameter_reference("IfMatch")


def _responses(one: Operation, schemas: dict[object, Json]) -> dict[str, Json]:
    answered: dict[str, Json] = {"description": one.summary, "headers": header_references(*_headers(one))}
    if one.status != _NO_CONTENT:
        schema = EVENT if one.media_type == EVENT_STREAM else schemas[one.answer]
        answered["content"] = {one.media_type: {"schema": schema}}
    described: dict[str, Json] = {str(one.status): answered}
    if one.method == "GET":
        known = header_references("ETag", "X-Position", "X-Lag")
        described[str(_NOT_MODIFIED)] = {"description": meaning_of(_NOT_MODIFIED), "headers": known}
    for status in _problems(one):
        described[str(status)] = {"$ref": f"#/components/responses/{problem_name(status)}"}
    if one.path == "/readyz":
        described["503"] = answered
    return dict(sorted(described.items()))


def _headers(one: Operation) -> Iterator[str]:
    if one.method == "GET":
        yield from ("ETag", "X-Position", "X-Lag")
    else:
        yield "X-Position"
    if one.method == "POST":
        yield "Idempotency-Replayed"
    if one.status == 201:  # noqa: PLR2004
        yield "Location"
    if one.path == "/readyz":
        yield "Retry-After"


def _problems(one: Operation) -> list[int]:
    """The statuses of all problems that the operation may be answered with."""
    because_of_body = () if one.body is Nothing else (408, 413, 415, 422)
    because_of_key = (409,) if one.method == "POST" else ()
    because_of_version = (412,) if one.method != "GET" and one.of == "bot" else ()
    return sorted({*_ALWAYS, *because_of_body, *because_of_key, *because_of_version, *one.problems})
