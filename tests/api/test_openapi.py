"""The served description: complete, well formed, and true of what is served."""

import re

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from events.identifiers import MODELS_STREAM, BotId, bot_stream
from oxbot.api.described import EVENT_STREAM
from oxbot.api.openapi import describe
from oxbot.api.routes import OPERATIONS
from tests.api.stage import BOT, BTC, Json, Stage, json, say
from tests.api.test_paging import portfolio, position, trade
from tests.views.advising import asked_once, begun, ended

pytestmark = pytest.mark.anyio


async def described(stage: Stage) -> Json:
    """The served document."""
    async with stage.client("viewer") as client:
        return json(await client.get("/openapi.json"))


def part(document: object, *names: str) -> Json:
    """What is found in the document by these names, an object."""
    for name in names:
        document = msgspec.convert(document, Json)[name]
    return msgspec.convert(document, Json)


def resolved(document: Json, found: object) -> Json:
    """What is meant by what was found there, which may refer to a component."""
    while "$ref" in (named := msgspec.convert(found, Json)):
        found = part(document, *str(named["$ref"]).removeprefix("#/").split("/"))
    return named


def parameters(document: Json, operation: object) -> list[Json]:
    """The parameters of an operation, each in full."""
    return [resolved(document, each) for each in msgspec.convert(part(operation)["parameters"], list[Json])]


async def test_the_document_is_openapi_to_a_validator_of_other_hands(stage: Stage) -> None:
    document = await described(stage)

    assert document["openapi"] == "3.1.0"
    assert not list(OpenAPIV31SpecValidator(document).iter_errors())


async def test_conditions_keys_and_what_answers_say_is_described(stage: Stage) -> None:
    document = await described(stage)
    for one in OPERATIONS:
        operation = part(document, "paths", one.path, one.method.lower())
        names = {each["name"] for each in parameters(document, operation) if each["in"] == "header"}
        assert ("If-None-Match" in names) == (one.method == "GET")
        assert ("Idempotency-Key" in names) == (one.method == "POST")
        assert ("If-Match" in names) == (one.method != "GET" and one.of == "bot")
        answers = part(operation, "responses")
        assert {"400", "401", "403", "404", "414", "429", "500", "503"} <= set(answers)
        assert ("304" in answers) == (one.method == "GET")
        for status, found in answers.items():
            answer = resolved(document, found)
            assert {"X-Request-Id", "RateLimit", "RateLimit-Policy"} <= set(part(answer, "headers"))
            for header in part(answer, "headers").values():
                assert resolved(document, header)["description"]
            assert ("Retry-After" in part(answer, "headers")) or status not in ("429", "503")


async def test_every_kind_of_problem_is_named(stage: Stage) -> None:
    document = await described(stage)
    kinds = part(document, "components", "schemas", "ProblemDetails", "properties", "type")["examples"]

    assert {"urn:oxbot:problem:version-moved", "urn:oxbot:problem:unauthorized"} < set(
        msgspec.convert(kinds, list[str])
    )


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
            in_path = {each["name"] for each in parameters(document, operation) if each["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path))


async def test_only_what_is_for_anyone_is_described_as_open(stage: Stage) -> None:
    document = await described(stage)

    for one in OPERATIONS:
        operation = part(document, "paths", one.path, one.method.lower())
        assert (operation.get("security") == []) == (one.least == "anyone")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (one.path, "")
        for one in OPERATIONS
        if one.method == "GET" and one.path != "/api/v1/me" and one.media_type != EVENT_STREAM
    ]
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
            "{user_id}": "nobody",
        }
        response = await client.get(re.sub(r"{\w+}", lambda name: known.get(name[0], "none"), path) + query)

    answers = part(
        resolved(document, part(document, "paths", path, "get", "responses")[str(response.status_code)]), "content"
    )
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
