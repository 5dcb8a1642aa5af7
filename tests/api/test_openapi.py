"""The served description: complete, well formed, and true of what is served."""

import re

import msgspec
import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Route

from events.identifiers import MODELS_STREAM, BotId, bot_stream
from oxbot.api.openapi import describe
from oxbot.api.routes import OPERATIONS
from tests.api.stage import BOT, BTC, Json, Stage, json, say
from tests.api.test_paging import portfolio, position, trade
from tests.views.advising import asked_once, begun, ended

pytestmark = pytest.mark.anyio

RESPONSE: Json = {
    "type": "object",
    "required": ["description"],
    "properties": {
        "description": {"type": "string", "minLength": 1},
        "content": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["schema"],
                "properties": {"schema": {"$ref": "#/$defs/schema"}},
            },
        },
    },
    "additionalProperties": False,
}

PARAMETER: Json = {
    "type": "object",
    "required": ["name", "in", "required", "schema"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "in": {"enum": ["query", "path"]},
        "required": {"type": "boolean"},
        "schema": {"$ref": "#/$defs/schema"},
    },
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"properties": {"required": {"const": True}}},
    "additionalProperties": False,
}

OPERATION: Json = {
    "type": "object",
    "required": ["operationId", "summary", "responses", "parameters", "x-least-role"],
    "properties": {
        "operationId": {"type": "string", "pattern": "^[a-z_]+$"},
        "summary": {"type": "string", "minLength": 1},
        "x-least-role": {"enum": ["anyone", "viewer", "trader", "admin"]},
        "parameters": {"type": "array", "items": {"$ref": "#/$defs/parameter"}},
        "requestBody": {"type": "object", "required": ["content"]},
        "security": {"type": "array"},
        "responses": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[1-5][0-9][0-9]$"},
            "additionalProperties": {"$ref": "#/$defs/response"},
        },
    },
    "additionalProperties": False,
}

STRUCTURE: Json = {
    "type": "object",
    "required": ["openapi", "info", "paths", "components", "security"],
    "properties": {
        "openapi": {"const": "3.1.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "security": {"const": [{"bearer": []}]},
        "paths": {
            "type": "object",
            "propertyNames": {"pattern": "^/"},
            "additionalProperties": {
                "type": "object",
                "propertyNames": {"enum": ["get", "post", "put"]},
                "additionalProperties": {"$ref": "#/$defs/operation"},
            },
        },
        "components": {
            "type": "object",
            "required": ["schemas", "securitySchemes"],
            "properties": {"schemas": {"type": "object", "propertyNames": {"pattern": r"^[a-zA-Z0-9._-]+$"}}},
        },
    },
    "additionalProperties": False,
    "$defs": {
        "schema": {"type": ["object", "boolean"]},
        "operation": OPERATION,
        "parameter": PARAMETER,
        "response": RESPONSE,
    },
}
"""As much of the OpenAPI 3.1 schema as this document uses."""


async def described(stage: Stage) -> Json:
    """The served document."""
    async with stage.client("viewer") as client:
        return json(await client.get("/openapi.json"))


def part(document: object, *names: str) -> Json:
    """What is found in the document by these names, an object."""
    for name in names:
        document = msgspec.convert(document, Json)[name]
    return msgspec.convert(document, Json)


async def test_the_document_has_the_structure_of_openapi(stage: Stage) -> None:
    document = await described(stage)

    assert not list(Draft202012Validator(STRUCTURE).iter_errors(document))


async def test_every_schema_is_one_and_every_reference_leads_somewhere(stage: Stage) -> None:
    document = await described(stage)
    schemas = part(document, "components", "schemas")

    for schema in schemas.values():
        Draft202012Validator.check_schema(msgspec.convert(schema, Json))
    referred = set(re.findall(rb'"#/components/schemas/([^"]+)"', msgspec.json.encode(document)))
    assert {name.decode() for name in referred} <= set(schemas)


async def test_every_route_is_described_and_nothing_else(stage: Stage) -> None:
    document = await described(stage)
    routes = [route for route in stage.app.routes if isinstance(route, Route)]

    served = {(route.path, method.lower()) for route in routes for method in route.methods or () if method != "HEAD"}
    assert served == {(path, method) for path in part(document, "paths") for method in part(document, "paths", path)}


async def test_operation_ids_and_path_parameters_are_complete(stage: Stage) -> None:
    document = await described(stage)
    names = [one.name for one in OPERATIONS]

    assert len(set(names)) == len(names)
    for path in part(document, "paths"):
        for operation in part(document, "paths", path).values():
            parameters = msgspec.convert(part(operation)["parameters"], list[Json])
            in_path = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path))


async def test_only_what_is_for_anyone_is_described_as_open(stage: Stage) -> None:
    document = await described(stage)

    for one in OPERATIONS:
        operation = part(document, "paths", one.path, one.method.lower())
        assert (operation.get("security") == []) == (one.least == "anyone")


@pytest.mark.parametrize(
    ("path", "query"),
    [(one.path, "") for one in OPERATIONS if one.method == "GET" and one.path != "/api/v1/me"]
    + [("/api/v1/bots", "?limit=x"), ("/api/v1/bots/{bot_id}", "missing")],
)
async def test_answers_have_the_described_type_and_schema(stage: Stage, path: str, query: str) -> None:
    document = await described(stage)
    async with stage.client("admin") as client:
        made = await client.post("/api/v1/bots", json={"name": "one", "symbols": ["BTC/USDT"]})
        bot_id = str(json(made)["bot_id"])
        await client.post("/api/v1/venue-accounts", json={"account": "main", "venue": "okx"})
        await say(stage, bot_stream(BotId(bot_id)), *asked_once(BotId(bot_id)))
        await say(stage, MODELS_STREAM, begun(), ended(begun()))
        await stage.project()
        await stage.seal()
        await stage.store(trade(1), portfolio(BOT), position(BTC))
        known = {
            "{bot_id}": bot_id,
            "{position}": "1",
            "{strategy}": "trinity",
            "{account}": "main",
            "{model}": "deep",
        }
        response = await client.get(re.sub(r"{\w+}", lambda name: known[name[0]], path) + query)

    answers = part(document, "paths", path, "get", "responses", str(response.status_code), "content")
    media_type = response.headers["content-type"].partition(";")[0]
    body = response.text if media_type == "text/plain" else json(response)
    schema = part(answers, media_type, "schema") | {"components": document["components"]}
    assert not list(Draft202012Validator(schema).iter_errors(body))


async def test_a_created_bot_is_answered_as_described(stage: Stage) -> None:
    document = await described(stage)
    async with stage.client("trader") as client:
        response = await client.post("/api/v1/bots", json={"name": "one", "symbols": ["BTC/USDT"]})

    content = part(document, "paths", "/api/v1/bots", "post", "responses", "201", "content", "application/json")
    schema = part(content, "schema") | {"components": document["components"]}
    assert not list(Draft202012Validator(schema).iter_errors(json(response)))


def test_the_document_is_the_same_each_time() -> None:
    assert describe(OPERATIONS) == describe(OPERATIONS)
