"""docs/extending.md says what the example does: its excerpts, and how many files each thing takes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = Path(__file__).parent / "restock"
DOCUMENT = (ROOT / "docs" / "extending.md").read_text()
PACKAGES = (
    "contracts", "connections", "sources", "models", "readers", "stream", "producers", "delivery",
    "publishing", "api", "ops",
)  # fmt: skip

WORDS = {
    "a field of visitors": r"BRANDS|add_brands",
    "a component with keys of its own": r"WISHES|Wishes",
    "an index of a component": r"LOWEST",
    "a timer of a component": r"TIMER",
    "an alert about products": r"STOCK_LOW|StockLow",
    "an alert about visitors": r"BULK_BOUGHT|BulkRule",
    "an input topic": r"INVENTORY",
    "a model": r"NextPurchase",
    "a trainer of a model": r"WeightTrainer|TrainerRegistry",
    "a derived value": r"COVER|STOCK_COVER",
    "a resource of the API": r"RESOURCE|ResourceRegistry",
}
"""What is to be added, to the words that stand for it in the example."""
MOST_FILES = {
    "a field of visitors": 3, "an index of a component": 2, "an alert about products": 2,
    "an alert about visitors": 2, "a model": 3, "an input topic": 2, "a resource of the API": 1,
}  # fmt: skip


def documented() -> dict[str, set[str]]:
    """The rows of the table; each counts the files that it lists."""
    found = {}
    for line in DOCUMENT.splitlines():
        if match := re.fullmatch(r"\| (an? .*?) \| (\d)(, and its folder)? \| (.*) \|", line):
            found[match[1]] = set(re.findall(r"`([\w./]+)`", match[4]))
            assert len(found[match[1]]) == int(match[2]), line
    return found


@pytest.mark.parametrize("kind", WORDS)
def test_each_thing_takes_as_many_files_as_documented(kind: str) -> None:
    words = re.compile(rf"\b({WORDS[kind]})\b")
    beside = {"api.py"} if kind == "a derived value" else set()  # it is shown by a resource
    files = {str(path.relative_to(EXTENSION)): path.read_text() for path in EXTENSION.rglob("*.py")}
    having = {name for name, text in files.items() if words.search(text)} - beside
    assert having == documented()[kind]
    assert len(having) <= MOST_FILES.get(kind, 2)


def test_every_row_of_the_table_is_counted() -> None:
    assert documented().keys() == WORDS.keys()


def test_the_product_knows_nothing_of_the_example() -> None:
    names = re.compile(r"\brestock\b|stock_cover|StockLevels|\bwishes:")
    found = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".pyx", ".pxd", ".lua") and names.search(path.read_text())
    ]
    assert found == []


def excerpts() -> list[tuple[str, str]]:
    """File and text of every piece of code, `...` between pieces."""
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(blocks) > 10
    return [(name, piece) for name, block in blocks for piece in block.split("...\n")]


@pytest.mark.parametrize(("name", "piece"), excerpts())
def test_excerpts_stand_in_their_files(name: str, piece: str) -> None:
    assert piece in (ROOT / name).read_text()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((\.\./[^)#]+)\)", DOCUMENT):
        assert (ROOT / "docs" / target).exists(), target
