"""A body that is an object with one array, whose elements are judged one by one: all are taken or none."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson

from api.http.bodies import bad_body
from api.http.errors import Problem
from contracts.fields import InvalidEvent, kind_of


def open_object(body: bytes, fields: Sequence[str], example: str) -> dict[str, Any]:
    """The object in a body, which has none but these fields; raises `Problem`.

    `example` is a body that would be taken. What is not JSON to the letter is refused: a number that is not
    finite, or text that is not UTF-8, may be in any of the elements.
    """
    if not body.strip():
        raise bad_body("body.empty", f"the body is empty; send an object such as {example}")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        detail = f"the body must be UTF-8 JSON, without NaN and Infinity; there is an error at {where}"
        raise bad_body("body.not_json", detail) from exc
    if type(content) is not dict:
        raise bad_body("body.not_object", f"the body must be an object, got {kind_of(content)}")
    if content.keys() - set(fields):
        raise invalid("body.unknown_field", f"the body must have no fields other than {', '.join(fields)}")
    return content


def list_in(content: dict[str, Any], field: str, most: int) -> list[Any]:
    """The 1 to `most` elements of a field, whose name is the plural of what they are; raises `Problem`."""
    elements = content.get(field)
    if elements is None:
        raise invalid(f"{field}.missing", f"{field} is required")
    if type(elements) is not list:
        raise invalid(f"{field}.not_list", f"{field} must be an array, got {kind_of(elements)}")
    if not elements:
        raise invalid(f"{field}.empty", f"{field} must have at least one element")
    if len(elements) > most:
        raise invalid(f"{field}.too_many", f"{field} must have at most {most} elements, got {len(elements)}")
    return elements


def refuse_element(field: str, index: int, flaw: InvalidEvent) -> dict[str, Any]:
    """What is wrong with one element, as a member of `errors`."""
    return {"index": index, "code": flaw.code, "detail": f"{field}[{index}]: {flaw.detail}"}


def raise_refusals(refusals: Sequence[dict[str, Any]]) -> None:
    """Raise `Problem` with all of them, named after the first, if there are any."""
    if refusals:
        first = refusals[0]
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, first["code"], first["detail"], errors=tuple(refusals))


def invalid(code: str, detail: str) -> Problem:
    """The refusal of a body that is JSON, for what it says."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, code, detail)
