"""docs/errors.md lists every code that the source can answer with, and none that it cannot."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http import errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
_CONTRACTS = ("event_versions.py", "events.py", "fields.py", "json_content.py", "numbers.py", "orders.py")
SOURCES = [
    *(ROOT / "api").rglob("*.py"),
    *(ROOT / "delivery").rglob("*.py"),
    ROOT / "ops" / "serving" / "connection.py",
    ROOT / "models" / "recommendation" / "request.py",
    *(ROOT / "contracts" / name for name in _CONTRACTS),
]
MAKERS = {
    "ErrorAnswer",
    "Problem",
    "problem_response",
    "unauthorized",
    "bad_body",
    "invalid",
    "_refused",
    "HeadRefused",
    "HostFlaw",
    "Refused",
    "InvalidEvent",
    "InvalidRequest",
    "QuotaPolicy",
}
"""Calls in which a string of the form of a code is one."""
CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
LIST_RULES = ("missing", "not_list", "empty", "too_many")
"""What `api.http.element_lists.list_in` refuses, each behind the name of the field."""
BY_STATE = {"key.expired", "key.revoked"}
"""Their second half is the state of the key."""


BY_FLAW = {"body.broken_id", "body.too_deep"}
"""Flaws of an event that may be around the events too."""


def calls() -> Iterator[tuple[str, list[ast.expr]]]:
    """Name of what is called, and the arguments, of every call in the source."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                yield name, [*node.args, *(keyword.value for keyword in node.keywords)]


def words(arguments: list[ast.expr]) -> list[str | None]:
    """The strings among the arguments; None for what is not written out."""
    return [a.value if isinstance(a, ast.Constant) and isinstance(a.value, str) else None for a in arguments]


def read_codes() -> set[str]:
    """Codes that are written out in the source."""
    found = {"internal", "query.unknown", *errors._CODES.values()} | BY_STATE | BY_FLAW
    for name, arguments in calls():
        given = words(arguments)
        if name in MAKERS:
            found |= {word for word in given if word is not None and CODE.fullmatch(word)}
        elif name == "InvalidQuery" and None not in given[:2]:
            found.add(f"{given[0]}.{given[1]}")
        elif name == "UnsafeTarget":
            found.add(f"url.{given[0]}")
        elif name == "_unavailable":
            found.add(f"model.{given[0]}")
        elif name == "list_in":
            found |= {f"{given[1]}.{rule}" for rule in LIST_RULES}
    return found


def read_rules() -> set[str]:
    """Rules that are combined with the name of a field."""
    found = {errors._OTHER_RULE, *errors._RULES.values()}
    for name, arguments in calls():
        given = words(arguments)
        if name == "Breach" and given[0] is not None:
            found.add(given[0])
        elif name == "InvalidQuery" and given[0] is None and given[1] is not None:
            found.add(given[1])
        elif name == "InvalidEvent" and isinstance(arguments[0], ast.JoinedStr):
            last = arguments[0].values[-1]
            if isinstance(last, ast.Constant) and str(last.value).startswith("."):
                found.add(str(last.value)[1:])
    return found


def listed(first: str, last: str) -> list[str]:
    """What the tables between two headings name in their first column."""
    section = PAGE.partition(f"\n## {first}\n")[2].partition(f"\n## {last}\n")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([a-z0-9_.]+)`", row)]


def test_every_code_of_the_source_is_on_the_page_and_no_other() -> None:
    assert sorted(listed("Codes", "Rules")) == sorted(read_codes())


def test_every_rule_of_the_source_is_on_the_page_and_no_other() -> None:
    assert sorted(listed("Rules", "")) == sorted(read_rules())


def test_the_reading_of_the_source_finds_what_is_known_to_be_there() -> None:
    assert {"server.busy", "url.no_address", "model.busy", "after.not_cursor", "body.timeout"} <= read_codes()
    assert {"negative", "too_long", "blank", "not_time", "not_allowed"} <= read_rules()
    assert len(read_codes()) > 90


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 422, 429, 431, 500, 503]
)
def test_every_status_of_an_error_is_on_the_page(status: int) -> None:
    assert str(status) in PAGE
