"""Files of sales as a panel: lines of receipts, or a line per series and day."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from models.demand.observation import Floats
from models.demand.panel import Panel

DATE = ("date", "transaction_timestamp", "InvoiceDate", "event_time", "ds")
SERIES = (
    ("store_id", "product_id"), ("store", "item"), ("StockCode",), ("product_id",), ("item_id",),
    ("unique_id",), ("series",),
)  # fmt: skip
UNITS = ("sale_amount", "sales", "quantity", "Quantity", "units", "sold", "y")
STOCK_OUT = {"stockout_hours_6_22": 16.0, "out_of_stock_share": 1.0}
"""Columns that say for how much of the day a product was out of stock, and what the whole day is."""
KNOWN_AHEAD = ("discount", "price", "promotion", "activity_flag", "holiday_flag")
"""What a shop knows of days to come. Discounts (a factor of the price) and prices are read as logarithms."""
_LOGARITHMIC = frozenset(("discount", "price"))
_RECEIPT_TIMES = ("transaction_timestamp", "InvoiceDate", "event_time")


@dataclass(frozen=True, slots=True)
class SalesFile:
    """Where sales are, and which of them count."""

    path: Path
    series: tuple[str, ...] | None = None
    """Columns that tell series apart; by default the first of `SERIES` that are there."""
    items: Path | None = None
    """A file with facts of the products or series, by the columns they share."""
    group: str | None = None
    """Its column, or one of the sales, by which series are grouped."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Columns and values: lines with these are no sales of products."""
    match: str | None = None
    """A regular expression that ids of products match."""
    least_days: int = 1
    """Series that sold on fewer days are left out."""
    timezone: str = "UTC"
    """In which days of receipts begin."""
    sample: int | None = None
    """So many series, evenly spread over their ids."""


def read_sales(file: SalesFile) -> Panel:
    """The panel of a parquet or CSV file.

    A product's series begins with its first sale; days it did not sell after that are zeros. Days on which
    nothing was sold at all are closures. Lines whose units are not above 0 do not count in receipts. Raises
    `ValueError` for columns that are missing or of the wrong kind, and `OSError`.
    """
    lines = _read(file.path)
    day, units = _column(lines, "date", DATE, file.path), _column(lines, "units", UNITS, file.path)
    choices = SERIES if file.series is None else (file.series,)
    keys = next((keys for keys in choices if set(keys) <= set(lines.columns)), None)
    if keys is None:
        wanted = ", ".join("+".join(keys) for keys in choices)
        raise ValueError(f"{file.path.name}: the columns of the series must be one of {wanted}")
    lines = _with_facts(lines, keys, file)
    for column, value in file.left_out:
        if column not in lines.columns:
            raise ValueError(f"{file.path.name}: has no column {column!r}, nor have its facts")
        lines = lines.filter(pl.col(column).cast(pl.String).ne_missing(value))
    if day in _RECEIPT_TIMES:
        lines = lines.filter(pl.col(units) > 0)
    if file.match is not None:
        lines = lines.filter(pl.col(keys[-1]).cast(pl.String).str.contains(file.match))
    lines = lines.with_columns(
        _day_of(lines, day, file.timezone).alias("_day"),
        pl.concat_str(*(pl.col(key).cast(pl.String) for key in keys), separator=" ").alias("_series"),
    ).drop_nulls(["_day", "_series", units])
    if lines.is_empty():
        raise ValueError(f"{file.path.name}: no line has a date, a series and units that count")
    return _to_panel(lines, units, file)


def parse_pair(text: str) -> tuple[str, str]:
    """`COLUMN=VALUE`; raises `ValueError` for anything else."""
    column, equals, value = text.partition("=")
    if not column or not equals:
        raise ValueError(f"must be COLUMN=VALUE, got {text!r}")
    return column, value


def _to_panel(lines: pl.DataFrame, units: str, file: SalesFile) -> Panel:
    ahead = [name for name in KNOWN_AHEAD if name in lines.columns]
    stock_out = next((name for name in STOCK_OUT if name in lines.columns), None)
    means = [*ahead, *([stock_out] if stock_out else [])]
    days = lines.group_by("_series", "_day").agg(
        pl.col(units).cast(pl.Float64).sum(), *(pl.col(name).cast(pl.Float64).mean() for name in means)
    )
    opened = days.group_by("_day").agg(pl.col(units).sum() > 0).filter(pl.col(units))["_day"]
    names = _names(days.filter(pl.col(units) > 0), file)
    days = days.filter(pl.col("_series").is_in(names.implode()))
    first: date = days["_day"].min()  # type: ignore[assignment]  # a date column with rows
    last: date = days["_day"].max()  # type: ignore[assignment]
    shape = (last - first).days + 1, len(names)
    place = (
        (days["_day"] - first).dt.total_days().to_numpy(),
        names.search_sorted(days["_series"]).to_numpy().astype(np.int64),
    )

    def grid(name: str, missing: float) -> Floats:
        out = np.full(shape, missing)
        out[place] = days[name].fill_null(missing).to_numpy()
        return out

    sold = np.nan_to_num(grid(units, np.nan))
    begins = np.argmax(sold > 0, axis=0)
    sold[np.arange(shape[0])[:, None] < begins] = np.nan
    on_sale = np.ones(shape) if stock_out is None else 1.0 - grid(stock_out, 0.0) / STOCK_OUT[stock_out]
    is_open = np.zeros(shape[0], bool)
    is_open[[offset for offset in (opened - first).dt.total_days().to_list() if 0 <= offset < shape[0]]] = (
        True
    )
    on_sale[~is_open] = 0.0
    covariates = [_covariate(name, grid(name, np.nan)) for name in ahead]
    return Panel(
        first_bucket=(first - date(1970, 1, 1)).days,
        sold=sold,
        on_sale=np.clip(on_sale, 0.0, 1.0),
        covariates=np.stack(covariates, axis=-1) if covariates else np.zeros((*shape, 0)),
        covariate_names=tuple(ahead),
        groups=_groups(lines, names, file),
        names=tuple(names.to_list()),
    )


def _covariate(name: str, values: Floats) -> Floats:
    """Values without gaps: what is unknown is as it usually is for the series."""
    if name in _LOGARITHMIC:
        values = np.log(
            np.where((values > 0) & (values <= 1 if name == "discount" else True), values, np.nan)
        )
    known = ~np.isnan(values)
    usual = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, values, usual)


def _names(days: pl.DataFrame, file: SalesFile) -> pl.Series:
    counts = days.group_by("_series").len().filter(pl.col("len") >= file.least_days)
    names = counts["_series"].sort()
    if names.is_empty():
        raise ValueError(f"{file.path.name}: no series sold on {file.least_days} days or more")
    if file.sample is not None and file.sample < len(names):
        names = names.gather(np.linspace(0, len(names) - 1, file.sample).round().astype(int).tolist())
    return names


def _groups(lines: pl.DataFrame, names: pl.Series, file: SalesFile) -> np.ndarray:
    if file.group is None:
        return np.zeros(len(names), np.int64)
    if file.group not in lines.columns:
        raise ValueError(f"{file.path.name}: has no column {file.group!r}, nor have its facts")
    facts = lines.group_by("_series").agg(pl.col(file.group).cast(pl.String).drop_nulls().first())
    of = dict(zip(facts["_series"].to_list(), facts[file.group].to_list(), strict=True))
    _, codes = np.unique([of[name] or "" for name in names.to_list()], return_inverse=True)
    return codes.astype(np.int64)


def _with_facts(lines: pl.DataFrame, keys: Sequence[str], file: SalesFile) -> pl.DataFrame:
    if file.items is None:
        return lines
    facts = _read(file.items)
    shared = [key for key in keys if key in facts.columns]
    if not shared:
        raise ValueError(f"{file.items.name}: needs one of the columns {', '.join(keys)}")
    return lines.join(facts.unique(shared), on=shared, how="left", suffix="_of_items")


def _day_of(lines: pl.DataFrame, name: str, timezone: str) -> pl.Expr:
    kind, column = lines.schema[name], pl.col(name)
    if kind == pl.String:
        return column.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    if kind == pl.Date:
        return column
    if isinstance(kind, pl.Datetime):
        if timezone == "UTC":
            return column.dt.date()
        aware = column if kind.time_zone else column.dt.replace_time_zone("UTC")
        return aware.dt.convert_time_zone(timezone).dt.date()
    raise ValueError(f"column {name} must hold dates or times, got {kind}")


def _read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, try_parse_dates=True) if path.suffix == ".csv" else pl.read_parquet(path)


def _column(lines: pl.DataFrame, kind: str, wanted: Sequence[str], path: Path) -> str:
    for name in wanted:
        if name in lines.columns:
            return name
    raise ValueError(f"{path.name}: the column of the {kind} must be one of {', '.join(wanted)}")


def check_pattern(text: str) -> str:
    """A regular expression; raises `ValueError` with what is wrong with it."""
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"must be a regular expression, got {text!r}: {exc}") from exc
    return text
