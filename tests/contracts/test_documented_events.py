"""What docs/events.md shows is what the contract reads, and every code it can give is written there."""

import ast
import re
from pathlib import Path

import orjson

from contracts.dead_letters import decode_dead_letter
from contracts.events import decode, encode
from contracts.orders import split_items

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text()
EXAMPLES = [orjson.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
NOW_MS = 1_770_000_000_000


def test_every_example_event_is_read_and_survives_the_wire() -> None:
    events = [example for example in EXAMPLES if "event_type" in example and "items" not in example]
    assert len(events) == 5
    for example in events:
        event = decode(orjson.dumps(example), received_ms=NOW_MS, default_currency="EUR")
        assert decode(encode(event), received_ms=NOW_MS, default_currency="EUR") == event


def test_the_example_of_an_order_is_split_as_the_page_says() -> None:
    (example,) = [example for example in EXAMPLES if "items" in example]
    lines = split_items(example, default_currency="USD")
    assert [(e["event_id"], e["quantity"], e["price"]) for e in lines] == [
        ("c41#0", 2, "3.33"),
        ("c41#0.2", 1, "3.34"),
    ]


def test_the_example_of_a_dead_letter_is_one() -> None:
    (example,) = [example for example in EXAMPLES if "letter_id" in example]
    letter = decode_dead_letter(orjson.dumps(example))
    assert letter.letter_id == example["letter_id"]
    assert letter.value == b'{"event_type":"view"}'


def test_every_code_of_the_contract_is_documented() -> None:
    codes = set()
    for name in ("events", "fields", "numbers"):
        for node in ast.walk(ast.parse((ROOT / "contracts" / f"{name}.py").read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                codes |= set(
                    re.findall(
                        r"^(?:[a-z_]+\.|\.)?([a-z]+_[a-z_]+|missing|blank|naive|negative|unknown)$",
                        node.value,
                    )
                )
    rules = {
        code
        for code in codes
        if code in ("missing", "blank", "naive", "negative", "unknown")
        or code.startswith(("not_", "too_", "in_"))
    }
    assert len(rules) > 12
    assert {rule for rule in rules if f".{rule}`" not in PAGE} == set()


def test_every_code_of_orders_is_documented() -> None:
    source = (ROOT / "contracts" / "orders.py").read_text()
    codes = set(re.findall(r'"((?:items|currency)\.[a-z_]+)"', source))
    assert len(codes) == 5
    assert {
        code for code in codes | {"items.not_object", "items.reserved"} if f"`{code}`" not in PAGE
    } == set()
