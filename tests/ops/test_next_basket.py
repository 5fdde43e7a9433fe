import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from models.next_basket.features import FEATURES
from models.next_basket.served import load
from ops.cli import app
from ops.learning.basket_files import LeftOut, parse_left_out, read_baskets

pytestmark = pytest.mark.slow
FROM = datetime(2026, 1, 1, tzinfo=UTC)


def write_marked(path: Path, n_users: int = 60) -> None:
    """Histories and futures of users who buy one item of their own every time."""
    random = np.random.default_rng(1)
    rows = []
    for user in range(n_users):
        for number in range(5):
            basket = sorted({20 + user % 10, int(random.integers(0, 20))})
            rows.append((user, number, basket, "future" if number == 4 else "history"))
    pl.DataFrame(rows, ["user_id", "basket_no", "items", "part"], orient="row").write_parquet(path)


def write_receipts(path: Path, n_users: int = 40) -> None:
    """One line per item: a basket a day, with fuel in each third and something returned."""
    rows = [
        (f"u{user}", 100 * day + user, item, -1 if item == "returned" else 1, FROM + timedelta(days=day))
        for user in range(n_users)
        for day in range(user % 3, 30, 3)
        for item in (f"p{user % 7}", f"p{day % 11}", "returned", *(["fuel"] if day % 3 == 0 else []))
    ]
    names = ["household_id", "basket_id", "product_id", "quantity", "transaction_timestamp"]
    pl.DataFrame(rows, names, orient="row").unique(names[:3]).write_parquet(path)


def run(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_receipts_become_baskets_without_what_is_left_out(tmp_path: Path) -> None:
    write_receipts(tmp_path / "receipts.parquet")
    items = tmp_path / "items.csv"
    pl.DataFrame({"product_id": ["fuel", "p1"], "department": ["FUEL", "GROCERY"]}).write_csv(items)

    file = read_baskets(tmp_path / "receipts.parquet", [LeftOut(items, "department", "FUEL")])

    assert {"fuel", "returned"}.isdisjoint(file.item_ids)
    assert file.futures is None
    assert file.baskets.n_users == 40
    assert file.baskets.counts().tolist() == [10] * 40
    assert file.baskets.at_days is not None
    assert set(np.diff(file.baskets.at_days[:10])) == {3.0}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["user", "basket_id", "item_id"], "the column of the user must be one of user_id, household_id"),
        (["user_id", "basket_id", "sku"], "the column of the item must be one of items, item_id, product_id"),
    ],
)
def test_a_file_without_a_column_is_refused(tmp_path: Path, columns: list[str], words: str) -> None:
    path = tmp_path / "baskets.parquet"
    pl.DataFrame([(1, 2, 3)], columns, orient="row").write_parquet(path)

    with pytest.raises(ValueError, match=words):
        read_baskets(path)


def test_what_is_left_out_is_a_column_and_a_value(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be COLUMN=VALUE, got 'FUEL'"):
        parse_left_out("FUEL", tmp_path)
    with pytest.raises(ValueError, match="needs the file"):
        parse_left_out("department=FUEL", None)


def test_models_are_compared_on_folds_of_users(tmp_path: Path) -> None:
    write_marked(tmp_path / "baskets.parquet")

    output = run(
        "evaluate", "next-basket", "--data", str(tmp_path / "baskets.parquet"),
        "--models", "G-TopFreq;GP-TopFreq;TIFUKNN", "--json", str(tmp_path / "out.json"),
    )  # fmt: skip

    assert "by user, 5 of 5 folds, 60 cases" in output
    plain = orjson.loads((tmp_path / "out.json").read_bytes())
    figures = {model["name"]: model["figures"] for model in plain["models"]}
    assert plain["reference"] == "GP-TopFreq"
    assert figures["GP-TopFreq"]["top@1"]["value"] == 1
    assert figures["G-TopFreq"]["top@1"]["value"] < 0.2


def test_models_are_compared_after_a_cut_in_time(tmp_path: Path) -> None:
    write_receipts(tmp_path / "receipts.parquet")

    output = run(
        "evaluate", "next-basket", "--data", str(tmp_path / "receipts.parquet"), "--cut", "2026-01-25",
        "--models", "P-TopFreq;cadence",
    )  # fmt: skip

    assert "by time, last baskets from 2026-01-25 00:00" in output
    assert "40 cases" in output


def test_an_unknown_model_is_refused_by_name(tmp_path: Path) -> None:
    write_marked(tmp_path / "baskets.parquet")

    done = CliRunner().invoke(
        app, ["evaluate", "next-basket", "--data", str(tmp_path / "baskets.parquet"), "--models", "Oracle"]
    )

    assert done.exit_code == 2
    assert "got 'Oracle'" in done.output


def test_the_trained_artefact_answers_as_the_trees_did(tmp_path: Path) -> None:
    write_marked(tmp_path / "baskets.parquet", 200)

    data, model = str(tmp_path / "baskets.parquet"), str(tmp_path / "model")
    output = run("train", "next-basket", "--data", data, "--out", model)

    ranker = load(tmp_path / "model")  # compares the golden outputs
    assert ranker.version in output
    assert set(ranker.card.features) <= set(FEATURES)
    assert ranker.card.metrics["one user in five"]["recall@10"] > 0.4
    ranked = ranker.rank([["23", "1"], ["23", "2"], ["23", "3"]], None, 3)
    assert ranked[0].product_id == "23"


def test_users_whose_next_basket_is_unknown_get_a_list_each(tmp_path: Path) -> None:
    write_receipts(tmp_path / "receipts.parquet")
    (tmp_path / "users.txt").write_text("u7\nu2\n")

    run(
        "evaluate", "next-basket", "--baskets", str(tmp_path / "receipts.parquet"), "--models", "P-TopFreq",
        "--predict-users", str(tmp_path / "users.txt"), "--out", str(tmp_path / "lists.parquet"),
    )  # fmt: skip

    lists = pl.read_parquet(tmp_path / "lists.parquet")
    assert lists["user_id"].to_list() == ["u7", "u2"]
    assert lists["items"][0][0] in {"fuel", "p0"}
    assert "p2" in lists["items"][1]


def test_real_baskets_give_the_figures_of_their_readme(shop_data: Path, tmp_path: Path) -> None:
    run(
        "evaluate", "next-basket", "--data", os.fspath(shop_data / "tafeng_nbr/baskets.parquet"),
        "--models", "G-TopFreq;GP-TopFreq", "--json", str(tmp_path / "out.json"),
    )  # fmt: skip

    plain = orjson.loads((tmp_path / "out.json").read_bytes())
    recall = {model["name"]: model["figures"]["recall@10"]["value"] for model in plain["models"]}
    assert plain["cases"] == 11_087
    assert recall["G-TopFreq"] == pytest.approx(0.0803, abs=0.003)
    assert recall["GP-TopFreq"] == pytest.approx(0.134, abs=0.003)
