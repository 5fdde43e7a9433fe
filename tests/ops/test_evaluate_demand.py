"""`storepulse evaluate demand` on files as shops have them, and on ones that are broken."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.learning.demand_files import SalesFile, read_sales

FIRST = date(2024, 1, 1)
DAYS = 70


def receipts(path: Path) -> Path:
    """Three products, closed on Sundays, one of them from the second week on; a return and a fee."""
    random = np.random.default_rng(1)
    rows = [
        {
            "product_id": f"p{number}",
            "event_time": datetime(2024, 1, 1, 12) + timedelta(days=day),
            "quantity": int(random.poisson(3 + 4 * number)) + 1,
            "kind": "goods",
        }
        for day in range(DAYS)
        for number in range(3)
        if day % 7 != 6 and (number < 2 or day >= 7)
    ]
    at = datetime(2024, 1, 3, 12)
    rows.append({"product_id": "p0", "event_time": at, "quantity": -100, "kind": "goods"})
    rows.append({"product_id": "fee", "event_time": at, "quantity": 500, "kind": "service"})
    pl.DataFrame(rows).write_parquet(path)
    return path


def test_receipts_become_series_with_closures(tmp_path: Path) -> None:
    panel = read_sales(SalesFile(receipts(tmp_path / "r.parquet"), left_out=(("kind", "service"),)))
    assert panel.names == ("p0", "p1", "p2")
    assert panel.sold.shape == (DAYS - 1, 3)  # the last day is a Sunday
    assert np.isnan(panel.sold[:7, 2]).all()
    assert not np.isnan(panel.sold[7:]).any()
    closed = (panel.on_sale == 0).all(axis=1)
    assert [t for t in range(DAYS - 1) if closed[t]] == [t for t in range(DAYS - 1) if t % 7 == 6]
    assert panel.first_bucket == (FIRST - date(1970, 1, 1)).days


def test_days_are_those_of_the_shop(tmp_path: Path) -> None:
    path = tmp_path / "late.parquet"
    at = [datetime(2024, 1, 2, 3), datetime(2024, 1, 2, 20)]
    pl.DataFrame({"product_id": ["a", "a"], "event_time": at, "quantity": [5, 2]}).write_parquet(path)
    assert read_sales(SalesFile(path)).sold.tolist() == [[7.0]]
    assert read_sales(SalesFile(path, timezone="US/Eastern")).sold.tolist() == [[5.0], [2.0]]


def test_stock_outs_and_what_is_known_ahead_are_read(tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    lines = ["date,series,sold,out_of_stock_share,discount,promotion"]
    lines += ["2024-01-01,a,4,0,1,0", "2024-01-02,a,1,0.75,0.5,1", "2024-01-03,a,3,0,,0"]
    path.write_text("\n".join(lines))
    panel = read_sales(SalesFile(path))
    assert panel.on_sale[:, 0].tolist() == [1.0, 0.25, 1.0]
    assert panel.covariate_names == ("discount", "promotion")
    usual = np.log(0.5) / 2
    np.testing.assert_allclose(panel.covariates[:, 0], [[0, 0], [np.log(0.5), 1], [usual, 0]])


@pytest.mark.parametrize(
    ("header", "options", "reason"),
    [
        ("day,product_id,units", [], "the column of the date must be one of date,"),
        ("date,product_id,pieces", [], "the column of the units must be one of"),
        ("date,sku,units", [], "the columns of the series must be one of store_id+product_id,"),
        ("date,product_id,units", ["--least-days", "9"], "no series sold on 9 days or more"),
        ("date,product_id,units", ["--group", "shelf"], "has no column 'shelf', nor have its facts"),
        ("date,product_id,units", ["--models", "crystal ball"], "no model is called crystal ball; there are"),
        ("date,product_id,units", [], "origins 7 buckets apart need more than"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, header: str, options: list[str], reason: str) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(f"{header}\n2024-01-01,a,3\n2024-01-02,a,4\n")
    result = CliRunner().invoke(app, ["evaluate", "demand", "--data", str(path), *options])
    assert result.exit_code == 2
    assert reason in " ".join(result.output.split())


def test_the_table_has_every_row_and_the_baselines(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    options = ["--leave-out", "kind=service", "--origins", "3", "--horizons", "1,7", "--json", str(out)]
    path = receipts(tmp_path / "r.parquet")
    result = CliRunner().invoke(app, ["evaluate", "demand", "--data", str(path), *options])
    assert result.exit_code == 0, result.output
    assert "3 series over 69 days, 9 of them closed" in " ".join(result.output.split())
    found = json.loads(out.read_bytes())
    rows = {row["name"]: row["horizons"]["7"]["figures"] for row in found["models"]}
    assert list(rows)[:3] == ["seasonal naive", "mean of 4 weekdays", "mean of 4 weeks"]
    assert 0 < rows["mixture"]["wmape"] < rows["seasonal naive"]["wmape"]
    assert rows["mixture"]["coverage"] > 0.8
    assert rows["seasonal naive"]["msis"] is None
