"""The API's description in OpenAPI 3.1, generated from the operations and their msgspec types."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias, cast

import msgspec
from starlette.responses import Response

from oxbot.api.bodies import Nothing
from oxbot.api.operations import Call, Operation, operation
from oxbot.api.problems import MEDIA_TYPE, ProblemDetails

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | dict[str, Json] | None"

TITLE = "oxbot"
VERSION = "1"

_IN_PATH = re.compile(r"{(\w+)}")
_PATH_TYPES = {"position": "integer"}
_TEMPLATE = "#/components/schemas/{name}"
_ALWAYS = (400, 401, 403, 500)


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A description of this API in OpenAPI 3.1."""

    openapi: str
    info: dict[str, str]
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
    document: Json = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
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
    return dict(zip(types, references, strict=True)), components


def _describe(one: Operation, schemas: dict[object, Json], components: dict[str, dict[str, Json]]) -> Json:
    described: dict[str, Json] = {
        "operationId": one.name,
        "summary": one.summary,
        "x-least-role": one.least,
        "parameters": [*_path_parameters(one), *_query_parameters(components[one.query.__name__])],
        "responses": _responses(one, schemas),
    }
    if one.body is not Nothing:
        content: Json = {"application/json": {"schema": schemas[one.body]}}
        described["requestBody"] = {"required": one.body_required, "content": content}
    if one.least == "anyone":
        described["security"] = []
    return described


def _path_parameters(one: Operation) -> Iterator[Json]:
    for name in _IN_PATH.findall(one.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": _PATH_TYPES.get(name, "string")}}


def _query_parameters(query: dict[str, Json]) -> Iterator[Json]:
    for name, schema in cast("dict[str, Json]", query["properties"]).items():
        yield {"name": name, "in": "query", "required": False, "schema": schema}


def _responses(one: Operation, schemas: dict[object, Json]) -> dict[str, Json]:
    answered: Json = {"description": one.summary, "content": {one.media_type: {"schema": schemas[one.answer]}}}
    described: dict[str, Json] = {str(one.status): answered}
    for status in sorted({*_ALWAYS, *_because_of_body(one), *_because_of_path(one), *one.problems}):
        described[str(status)] = {
            "description": "A problem.",
            "content": {MEDIA_TYPE: {"schema": schemas[ProblemDetails]}},
        }
    if one.path == "/readyz":
        described["503"] = answered
    return described


def _because_of_body(one: Operation) -> tuple[int, ...]:
    return () if one.body is Nothing else (408, 413, 415, 422)


def _because_of_path(one: Operation) -> tuple[int, ...]:
    return (404,) if "{" in one.path else ()
