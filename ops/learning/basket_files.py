"""Files of baskets: a list of items per basket, or a line per item as shops export their receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from models.next_basket.baskets import Baskets, Ints, make_baskets

USER = ("user_id", "household_id", "customer_id", "CustomerID")
BASKET = ("basket_no", "basket_id", "order_id", "InvoiceNo")
ITEM = ("items", "item_id", "product_id", "StockCode")
TIME = ("event_time", "transaction_timestamp", "InvoiceDate")
QUANTITY = ("quantity", "Quantity")
PART, HISTORY, FUTURE = "part", "history", "future"
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Items that are no products: those of the file `items` whose `column` has this value, such as fuel."""

    items: Path
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class BasketFile:
    """What a file holds. `futures` are the baskets marked as such, one per user, None without marks.

    `user_ids` and `item_ids` are the ids of the file by the codes in `baskets`.
    """

    baskets: Baskets
    futures: Baskets | None
    user_ids: Sequence[object]
    item_ids: Sequence[object]


def read_baskets(path: Path, left_out: Sequence[LeftOut] = ()) -> BasketFile:
    """Read a parquet or CSV file; raises `ValueError` for columns that are missing, and `OSError`.

    Lines without a user, basket or item, and those with a quantity that is not above 0, are left out.
    """
    lines = _read(path)
    names = {
        kind: _column(lines, kind, wanted, path)
        for kind, wanted in (("user", USER), ("basket", BASKET), ("item", ITEM))
    }
    if isinstance(lines.schema[names["item"]], pl.List):
        lines = lines.explode(names["item"])
    lines = _without(lines.drop_nulls(list(names.values())), names["item"], left_out)
    quantity = next((name for name in QUANTITY if name in lines.columns), None)
    if quantity is not None:
        lines = lines.filter(pl.col(quantity) > 0)
    if lines.is_empty():
        raise ValueError(f"{path.name}: no line has a user, a basket and an item that counts")
    time = next((name for name in TIME if name in lines.columns), None)
    at_days = None if time is None else _days(lines[time], path)
    if at_days is not None:  # lines of one basket have one time, its first
        lines = lines.with_columns(pl.Series("at_days", at_days))
        at = pl.col("at_days").min().over(names["user"], names["basket"])
        lines = lines.with_columns(at.alias("at_days"))
    user_ids, users = _codes(lines[names["user"]])
    item_ids, items = _codes(lines[names["item"]])
    keys = [pl.col("at_days")] if time is not None else []
    order = lines.select(pl.struct(*keys, pl.col(names["basket"])).rank("dense")).to_series().to_numpy()
    times = None if time is None else lines["at_days"].to_numpy()
    part = lines[PART].cast(pl.String) if PART in lines.columns else None

    def of(chosen: npt.NDArray[np.bool_]) -> Baskets:
        return make_baskets(
            users[chosen], order[chosen], items[chosen].astype(np.int32), len(item_ids),
            None if times is None else times[chosen],
        )  # fmt: skip

    if part is None:
        return BasketFile(of(np.ones(len(lines), bool)), None, user_ids, item_ids)
    return BasketFile(of((part == HISTORY).to_numpy()), of((part == FUTURE).to_numpy()), user_ids, item_ids)


def read_ids(path: Path) -> list[str]:
    """The ids of users in a file: one per line, or the user column of a parquet or CSV file."""
    if path.suffix == ".txt":
        return path.read_text(encoding="utf-8").split()
    frame = _read(path)
    return frame[_column(frame, "user", USER, path)].cast(pl.String).unique(maintain_order=True).to_list()


def parse_left_out(text: str, items: Path | None) -> LeftOut:
    """`COLUMN=VALUE` of the file `items`; raises `ValueError` for anything else."""
    column, equals, value = text.partition("=")
    if not equals or not column:
        raise ValueError(f"--leave-out must be COLUMN=VALUE, got {text!r}")
    if items is None:
        raise ValueError("--leave-out needs the file with the columns of items, --items FILE")
    return LeftOut(items, column, value)


def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, try_parse_dates=True) if path.suffix == ".csv" else pl.read_parquet(path)


def _column(lines: pl.DataFrame, kind: str, wanted: Sequence[str], path: Path) -> str:
    for name in wanted:
        if name in lines.columns:
            return name
    raise ValueError(f"{path.name}: the column of the {kind} must be one of {', '.join(wanted)}")


def _without(lines: pl.DataFrame, item: str, left_out: Sequence[LeftOut]) -> pl.DataFrame:
    for each in left_out:
        facts = _read(each.items)
        if each.column not in facts.columns:
            raise ValueError(f"{each.items.name}: has no column {each.column!r}")
        key = _column(facts, "item", ITEM, each.items)
        named = facts.filter(pl.col(each.column).cast(pl.String) == each.value)[key]
        lines = lines.filter(~pl.col(item).is_in(named.implode()))
    return lines


def _days(times: pl.Series, path: Path) -> npt.NDArray[np.float64]:
    if not times.dtype.is_temporal():
        raise ValueError(f"{path.name}: column {times.name} must hold times, got {times.dtype}")
    ms = times.cast(pl.Datetime("ms")).cast(pl.Int64).to_numpy()
    return np.asarray(ms / _DAY_MS)


def _codes(column: pl.Series) -> tuple[list[object], Ints]:
    ids, codes = np.unique(column.to_numpy(), return_inverse=True)
    return ids.tolist(), codes.astype(np.int64)
