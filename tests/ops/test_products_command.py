"""`storepulse products`: files of every form are read, checked and sent; what is known is shown."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from contracts.fields import InvalidEvent
from contracts.product_records import decode_product
from contracts.products import Amount, Promotion
from contracts.settings import Settings
from contracts.topics import Topics
from ops.products.importing import Imported, ImportOptions, import_rows, run_import
from ops.products.showing import run_show
from producers.rejected import read_letters
from producers.sender import MemorySender
from running_worker import running_worker
from services import wait_until
from sources import UnknownFormat
from sources.products import ProductFile

SETTINGS = Settings(partitions=4)
CSV = """product_id;title;price;categories;active;promotion_price;promotion_to;published_at;margin
p1;"Mug; blue";12,50;Kitchen|Gifts;yes;9,99;2027-01-01T00:00:00Z;1760000000000;0.3
2;;7;;no;;;;
p3;Cup;cheap;;;;;;
p4;Cup
p5;"Cup
with handle";1;;;;;;
"""


def read(path: Path, content: bytes, name: str = "products.csv") -> tuple[list[Any], Imported]:
    (path / name).write_bytes(content)
    sender, imported = MemorySender(SETTINGS), Imported()
    list(import_rows(SETTINGS, name, ProductFile(path / name), "EUR", sender, imported))
    updates = [
        decode_product(record.value or b"", received_ms=2_000_000_000_000, default_currency="EUR")
        for record in sender.records
        if record.topic == Topics().products
    ]
    return updates, imported


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_csv_file_of_a_spreadsheet(tmp_path: Path, pack: Any) -> None:
    updates, imported = read(tmp_path, pack(CSV.encode()))
    assert ProductFile(tmp_path / "products.csv").unused == ("margin",)
    assert [(update.product_id, dict(update.facts)) for update in updates] == [
        (
            "p1",
            {
                "title": "Mug; blue",
                "price": Amount(1_250, "EUR"),
                "categories": ("Kitchen", "Gifts"),
                "active": True,
                "published_ms": 1_760_000_000_000,
                "promotion": Promotion(Amount(999, "EUR"), None, 1_798_761_600_000),
            },
        ),
        ("2", {"price": Amount(700, "EUR"), "active": False}),
    ]
    assert {code: (each.rows, each.first_row) for code, each in imported.reasons.items()} == {
        "price.not_number": (1, 3),
        "row.wrong_length": (1, 4),
        "title.control_characters": (1, 5),
    }
    assert (imported.taken, imported.rejected) == (2, 3)


def test_json_lines_are_records(tmp_path: Path) -> None:
    content = (
        b'{"product_id": "p1", "stock": null}\n\n{"product_id": "p1", "margin": 1}\n{"a": 1, "a": 2}\nx\n'
    )
    updates, imported = read(tmp_path, content, "products.jsonl")
    assert [dict(update.facts) for update in updates] == [{"stock": None}]
    assert sorted(imported.reasons) == ["event.repeated_field", "product.not_json", "product.unknown_field"]


def test_a_parquet_file_with_types_of_its_own(tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "product_id": [1.0, 2.0, None],
        "price": pl.Series(["1.10", None, None]).cast(pl.Decimal(10, 2)),
        "categories": [["a", "b"], [], None],
        "stock": [3, None, None],
        "updated_at": [datetime(2025, 10, 9, 8, tzinfo=UTC)] * 3,
    })  # fmt: skip
    frame.write_parquet(tmp_path / "made.parquet")
    updates, imported = read(tmp_path, (tmp_path / "made.parquet").read_bytes(), "products.parquet")
    assert [(update.product_id, update.updated_ms, dict(update.facts)) for update in updates] == [
        ("1", 1_759_996_800_000, {"price": Amount(110, "EUR"), "categories": ("a", "b"), "stock": 3}),
        ("2", 1_759_996_800_000, {"categories": ()}),
    ]
    assert list(imported.reasons) == ["product_id.missing"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"[{}]", "one JSON array"),
        (b"id,title\n1,Mug\n", "no column product_id; it has id, title"),
        (b"product_id,price,price\n1,2,3\n", "two columns called price"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "f.csv").write_bytes(content)
    with pytest.raises((UnknownFormat, InvalidEvent), match=reason):
        ProductFile(tmp_path / "f.csv")


def test_an_import_arrives_and_is_shown(
    make_installation: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = make_installation(partitions=2, scoring=False)
    (tmp_path / "products.csv").write_text("product_id,title,stock\np1,Mug,3\np2,Cup,-1\n")
    assert run_import(settings, ImportOptions(tmp_path / "products.csv", dry_run=True)) == 0
    assert "1 products valid, 1 rows rejected" in capfd.readouterr().out
    assert run_import(settings, ImportOptions(tmp_path / "products.csv", as_json=True)) == 0
    told = orjson.loads(capfd.readouterr().out)
    assert (told["sent"], told["rejected"], told["reasons"][0]["code"]) == (1, 1, "stock.negative")
    (kept,) = read_letters(settings)
    assert (kept.letter.topic, kept.letter.offset) == ("products.csv", 2)
    with running_worker(settings, tmp_path):
        wait_until(lambda: run_show(settings, "p1") == 0, 60, "the product to be there")
    shown = capfd.readouterr().out
    assert '"title": "Mug"' in shown
    assert '"stock": 3' in shown
    assert run_show(settings, "p2") == 1
