"""The body of `POST /v1/recommendations`: how it is read, and how the OpenAPI document shows it."""

from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError

from api.http.bodies import bad_body, flawed_body
from api.http.errors import InvalidQuery, Problem, name_rule
from api.openapi.json_bodies import describe_body
from api.resources.recommendations.questions import Question, RecommendationBatch
from contracts.fields import InvalidEvent, kind_of
from contracts.json_content import JsonContent, repeats_field, settle

_REF = "#/components/schemas/{model}"


def read_batch(content: JsonContent, default_currency: str) -> list[Question]:
    """The questions in a body; raises `Problem` that names each broken rule with its place."""
    value = content.value
    if not content.is_plain:
        if repeats_field(value):
            raise bad_body("body.repeated_field", "an object in the body has the same field twice")
        value = settle(value)
        if isinstance(value, InvalidEvent):
            raise flawed_body(value)
    if type(value) is not dict:
        raise bad_body("body.not_object", f"the body must be an object, got {kind_of(value)}")
    try:
        # As JSON once more: of other values pydantic takes numbers for texts, or no names for kinds.
        batch = RecommendationBatch.model_validate_json(orjson.dumps(value), strict=True)
    except ValidationError as exc:
        raise _refused([_to_error(error) for error in exc.errors(include_url=False)]) from None
    questions, errors = [], []
    for place, each in enumerate(batch.requests):
        try:
            questions.append(each.to_question(default_currency))
        except InvalidQuery as exc:
            detail = f"requests[{place}].{exc.field} {exc.detail}"
            errors.append({"field": exc.field, "rule": exc.rule, "detail": detail})
    if errors:
        raise _refused(errors)
    return questions


def _refused(errors: list[dict[str, str]]) -> Problem:
    first = errors[0]
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['field']}.{first['rule']}", first["detail"], errors=errors
    )


def _to_error(error: Any) -> dict[str, str]:
    loc, rule = error["loc"], name_rule(error["type"])
    if error["type"] == "extra_forbidden":  # the field's name is the sender's text
        place = _say_place(loc[:-1]) or "the body"
        return {"field": "body", "rule": "unknown_field", "detail": f"{place} has an unknown field"}
    field = next(part for part in reversed(loc) if type(part) is str)
    said = str(error["msg"]).removeprefix("Input ").removeprefix("String ")
    return {"field": field, "rule": rule, "detail": f"{_say_place(loc)} {said}"}


def _say_place(loc: tuple[str | int, ...]) -> str:
    """Such as `requests[2].limit`."""
    text = "".join(f"[{part}]" if type(part) is int else f".{part}" for part in loc)
    return text.removeprefix(".")


def _make_schemas() -> dict[str, Any]:
    schema = RecommendationBatch.model_json_schema(ref_template=_REF)
    parts = schema.pop("$defs")
    return {"RecommendationBatch": schema, **parts}


SCHEMAS = _make_schemas()
"""What the body refers to."""

REQUEST_BODY = describe_body(
    "RecommendationBatch",
    {
        "page": (
            "Two shelves of one page",
            {
                "requests": [
                    {"user_id": "visitor-17", "limit": 4},
                    {
                        "user_id": "visitor-17",
                        "product_id": "p00054",
                        "scenario": "bought_together",
                        "exclude_categories": ["Gifts"],
                        "boosts": [{"of": "brand", "value": "Stride", "factor": 1.5}],
                    },
                ]
            },
        ),
    },
)
