"""The OpenAPI document: valid, complete enough to make a client from, and not sent twice."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from api.app import create_app
from api.registry import find_resources
from contracts.settings import Settings

DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
_REGISTRY: Registry[Any] = Registry().with_resource(
    "urn:document", Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
)


THEIR_OWN = re.compile("/v1/(batch|track|identify|page|screen|group|alias)|/(debug/)?mp/collect")
"""Paths of adapters, whose bodies others describe."""


def find(value: Any) -> Any:
    """What a reference within the document leads to, or the value itself."""
    while isinstance(value, dict) and set(value) == {"$ref"}:
        target: Any = DOCUMENT
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/")]
        value = target
    return value


def check(schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value."""
    absolute = rebase(schema)
    validator = Draft202012Validator(absolute, registry=_REGISTRY, format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(value)]


def rebase(schema: Any) -> Any:
    """The schema with references that lead into the document from outside of it."""
    if isinstance(schema, dict):
        return {
            key: f"urn:document{value}" if key == "$ref" else rebase(value) for key, value in schema.items()
        }
    return [rebase(item) for item in schema] if isinstance(schema, list) else schema


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema of the document."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "schema":
                yield child
            yield from schemas(child)
    elif isinstance(value, list):
        for child in value:
            yield from schemas(child)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from objects(child)


def examples(holder: dict[str, Any]) -> list[Any]:
    """The examples of a parameter or media type, or of its schema."""
    found = [holder["example"]] if "example" in holder else []
    found += [find(example)["value"] for example in holder.get("examples", {}).values()]
    schema = find(holder.get("schema", {}))
    found += [schema["example"]] if "example" in schema else []
    return [*found, *schema.get("examples", [])]


def media() -> Iterator[tuple[str, dict[str, Any]]]:
    """Where it is, and each media type of bodies and answers."""
    for name, (_, _, operation) in OPERATIONS.items():
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} takes {kind}", content
        for status, answer in operation["responses"].items():
            for kind, content in find(answer).get("content", {}).items():
                yield f"{name} answers {status} {kind}", content


def test_every_schema_is_valid_json_schema() -> None:
    components = DOCUMENT["components"]["schemas"]
    for schema in [*components.values(), *schemas(DOCUMENT["paths"])]:
        Draft202012Validator.check_schema(schema)


@pytest.mark.slow
def test_schemathesis_reads_all_operations() -> None:
    loaded = schemathesis.openapi.from_dict(DOCUMENT)
    results: list[Any] = list(loaded.get_all_operations())
    assert {result.ok().definition.raw["operationId"] for result in results} == set(OPERATIONS)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_says_all_that_a_client_needs(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    assert operation["summary"]
    assert len(operation["description"]) > 20
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    assert any(status < "400" for status in operation["responses"])
    if operation["tags"] != ["operations"]:
        assert {"401", "403", "422", "429", "503"} <= operation["responses"].keys()
    if "requestBody" in operation:
        assert {"400", "408", "413"} & operation["responses"].keys()
    for parameter in operation.get("parameters", []):
        assert parameter.get("description") or parameter["in"] == "path" or "enum" in str(parameter["schema"])
    for status, answer in operation["responses"].items():
        assert find(answer)["description"], status
        if status >= "400" and path not in ("/readyz", "/startupz"):
            assert list(find(answer)["content"]) == ["application/problem+json"], status


def test_schemas_have_names_that_can_be_classes() -> None:
    """Of two models of one name FastAPI makes paths of modules, of which generators make clashing classes."""
    names = DOCUMENT["components"]["schemas"]
    assert [name for name in names if not re.fullmatch("([A-Z][a-z]+)+", name)] == []


def test_bodies_refer_to_schemas_by_name() -> None:
    """Otherwise generators name classes after places in the document."""
    for _, path, operation in OPERATIONS.values():
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        inline = [choice for choice in schema.get("anyOf", [schema]) if "properties" in choice]
        assert THEIR_OWN.fullmatch(path) or inline == [], path


def test_every_list_says_what_is_in_it() -> None:
    assert [one for one in objects(DOCUMENT) if one.get("type") == "array" and "items" not in one] == []


def test_a_header_is_of_one_kind() -> None:
    """Generators leave out an operation with a header that is one thing or another."""
    for name, (_, _, operation) in OPERATIONS.items():
        for parameter in operation.get("parameters", []):
            choices = parameter["schema"].get("anyOf", [])
            kinds = [choice for choice in choices if choice.get("type") != "null"]
            assert parameter["in"] != "header" or len(kinds) <= 1, name


def test_a_choice_between_types_has_a_name() -> None:
    """Of one without generators make classes named after places in the document, or fail."""
    named = {id(schema) for schema in DOCUMENT["components"]["schemas"].values()}
    nameless = [
        one
        for one in objects(DOCUMENT)
        if len([choice for choice in one.get("anyOf", one.get("oneOf", [])) if choice.get("type") != "null"])
        > 1
        and id(one) not in named
    ]
    assert nameless == []
    assert [one for one in objects(DOCUMENT) if one.get("type") == "null" and len(one) > 1] == []
    kinds = [one["type"] for one in objects(DOCUMENT) if isinstance(one.get("type"), list)]
    assert [several for several in kinds if len({*several} - {"null"}) > 1] == []


def test_no_schema_has_a_list_of_its_own_name() -> None:
    """Some generators name a variable of the method that reads a class after the class."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        own = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
        assert own not in schema.get("properties", {}), name


def test_integers_have_64_bits() -> None:
    assert [one for one in objects(DOCUMENT) if one.get("type") == "integer" and "format" not in one] == []


def test_operation_ids_are_unique_words() -> None:
    n_operations = sum(len(item) for item in DOCUMENT["paths"].values())
    assert len(OPERATIONS) == n_operations
    assert all(name.isidentifier() for name in OPERATIONS)


def test_every_body_and_answer_has_an_example_that_fits_its_schema() -> None:
    lacking, wrong = [], []
    for where, content in media():
        found = examples(content)
        if not found:
            lacking.append(where)
        for example in found:
            wrong += [f"{where}: {message}" for message in check(content["schema"], example)]
    assert not lacking
    assert not wrong


def test_examples_of_parameters_fit_their_schemas() -> None:
    wrong = [
        f"{name} {parameter['name']}: {message}"
        for name, (_, _, operation) in OPERATIONS.items()
        for parameter in operation.get("parameters", [])
        for example in examples(parameter)
        for message in check(parameter["schema"], example)
    ]
    assert not wrong


def test_the_document_says_who_made_it_and_how_to_present_a_key() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["license"]["identifier"] == "Apache-2.0"
    assert DOCUMENT["servers"]
    assert {"bearer", "basic"} <= DOCUMENT["components"]["securitySchemes"].keys()


LINKS = [link for resource in find_resources(Settings()) for link in resource.documentation.links]


@pytest.mark.parametrize("link", LINKS, ids=lambda link: f"{link.source} to {link.target}")
def test_links_lead_from_answers_that_are_to_parameters_that_are(link: Any) -> None:
    answer = OPERATIONS[link.source][2]["responses"][link.status]
    assert answer["links"][link.target]["operationId"] == link.target
    parameters = {parameter["name"] for parameter in OPERATIONS[link.target][2]["parameters"]}
    assert link.parameters.keys() <= parameters


@pytest.mark.parametrize("path", ["/openapi.json", "/static/live.js"])
async def test_what_seldom_changes_is_sent_once(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    assert first.status_code == 200
    tag = first.headers["etag"]
    again = await client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_what_is_personal_or_a_moment_old_is_kept_by_no_cache(client: httpx.AsyncClient) -> None:
    for path in ("/v1/live", "/v1/users/u1", "/v1/alerts", "/readyz", "/metrics", "/no/such/path"):
        assert (await client.get(path)).headers["cache-control"] == "no-store", path


async def test_figures_of_models_may_be_kept_as_long_as_we_keep_them(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models")).headers["cache-control"] == "private, max-age=2"
