"""What docs/adapters.md and docs/storefront.md show is what the adapters and the snippet do."""

import re
from pathlib import Path
from typing import Any

import httpx
import orjson

from api.resources.adapters import ga4, segment
from api.resources.adapters.document import SegmentReceipt
from api.resources.events.validation import ValidationContext, validate

ROOT = Path(__file__).parents[2]
ADAPTERS = (ROOT / "docs" / "adapters.md").read_text()
STOREFRONT = (ROOT / "docs" / "storefront.md").read_text()
SNIPPET = (ROOT / "api/resources/page/static/storepulse.js").read_text()
EXAMPLES: list[dict[str, Any]] = [
    orjson.loads(block) for block in re.findall(r"```json\n(.*?)```", ADAPTERS, re.DOTALL)
]
NAMES = {name.replace(" ", "").lower() for name in re.findall(r"`([A-Z][A-Za-z ]+)`", ADAPTERS)}


def test_the_receipt_of_segment_has_the_members_shown() -> None:
    (example,) = [example for example in EXAMPLES if "success" in example]
    assert set(example) == set(SegmentReceipt.model_fields)
    assert SegmentReceipt.model_validate(example).errors[0].code == "price.not_number"


async def test_the_validation_server_says_what_is_shown(client: httpx.AsyncClient) -> None:
    (body,) = re.findall(r"debug/mp/collect' -d '(.*?)'\n", ADAPTERS, re.DOTALL)
    (shown,) = [example for example in EXAMPLES if "validationMessages" in example]
    assert (await client.post("/debug/mp/collect", content=body)).json() == shown


def test_the_body_shown_for_ga4_is_an_order_of_two_products() -> None:
    (body,) = [example for example in EXAMPLES if "client_id" in example]
    received_ms = int(body["timestamp_micros"]) // 1_000
    validated = validate(
        ga4.translate_body(body, received_ms=received_ms).events, ValidationContext(received_ms, "USD")
    )
    assert [(r.event.product_id, r.event.price_minor, r.event.category) for r in validated.records] == [
        ("p00054", 1_630, None),
        ("p00427", 2_860, "apparel.shoes"),
    ]


def test_every_name_that_is_translated_is_in_the_tables() -> None:
    assert {name for name in segment._TYPES if name not in NAMES} == set()
    assert {name for name in ga4._TYPES if f"`{name}`" not in ADAPTERS} == set()


def test_every_call_and_option_of_the_snippet_is_documented() -> None:
    body = SNIPPET.partition("const api = window.storepulse = {")[2]
    calls = set(re.findall(r"^    ([a-z]+):", body, re.MULTILINE))
    assert calls == {
        "view", "cart", "remove", "favorite", "purchase", "id", "identify", "consent", "recommend",
    }  # fmt: skip
    assert {call for call in calls if f"storepulse.{call}(" not in STOREFRONT} == set()
    options = set(re.findall(r"set\.([a-z]+)", SNIPPET))
    assert {option for option in options if f"`data-{option}`" not in STOREFRONT} == set()


def test_ten_lines_are_enough() -> None:
    (lines,) = re.findall(r"```html\n(.*?)```", STOREFRONT, re.DOTALL)
    assert len(lines.splitlines()) <= 10
