"""From a body to the products that are to be judged: one, an array, or a line each."""

from collections.abc import Sequence
from typing import Any

from api.http.bodies import bad_body, media_type_of, parse_body, unsupported_type
from api.http.json_lines import lines_of, read_lines
from contracts.fields import kind_of
from contracts.json_content import settle

MAX_PRODUCTS = 1_000
JSON = "application/json"
NDJSON = "application/x-ndjson"


def parse_products(body: bytes, content_type: str) -> Sequence[Any]:
    """What is to be judged; an `InvalidEvent` among it is refused already. Raises `Problem`."""
    media_type = media_type_of(content_type)
    if media_type not in (JSON, NDJSON):
        raise unsupported_type(f"Content-Type must be {JSON} or {NDJSON}")
    if not body.strip():
        raise bad_body("body.empty", "the body is empty; it must be a product or an array of products")
    if media_type == NDJSON:
        lines = lines_of(body)
        _check_number(lines)
        return read_lines(lines)
    value, is_plain = parse_body(body)
    if isinstance(value, dict):
        return [value if is_plain else settle(value)]
    if type(value) is not list:
        raise bad_body("body.not_products", f"the body must be an object or an array, got {kind_of(value)}")
    _check_number(value)
    return value if is_plain else [settle(element) for element in value]


def _check_number(elements: Sequence[Any]) -> None:
    if not elements:
        raise bad_body("body.no_products", "there must be at least one product")
    if len(elements) > MAX_PRODUCTS:
        raise bad_body(
            "body.too_many_products", f"there must be at most {MAX_PRODUCTS} products, got {len(elements)}"
        )
