"""Files of item sequences, of pairs of prefix and target, and of events with a session, as arrays."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from models.next_item.cases import Cases, cases_of, cases_of_pairs
from models.next_item.sessions import ACTIONS, Sessions
from sources import UnknownFormat

_SEQUENCES, _PAIRS, _LOG = {"items"}, {"prefix", "target"}, {"event_time", "session_id", "item_id"}
_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
}


class ItemFile(NamedTuple):
    """Sequences of items as the file names them, one after the other; if they are prefixes, with targets."""

    items: pl.Series
    starts: npt.NDArray[np.int64]
    targets: pl.Series | None = None
    actions: npt.NDArray[np.int8] | None = None
    at_ms: npt.NDArray[np.int64] | None = None
    left_out: int = 0
    """Rows without an item, session or time, or of other event types."""


def read_item_file(path: Path) -> ItemFile:
    """A .parquet, .csv or .jsonl file of one of three forms, by its columns.

    Sequences: `items`, and `seq_no` for their order in time. Pairs: `prefix`, `target`. Events: `event_time`,
    `session_id`, `item_id`, and `event_type`, of which view, cart and purchase are taken.

    Raises `UnknownFormat` for any other file.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UnknownFormat(f"{path.name} must end with {', '.join(_READERS)}")
    try:
        table = reader(path)
    except pl.exceptions.PolarsError as exc:
        raise UnknownFormat(f"{path.name} is damaged: {exc}") from exc
    columns = set(table.columns)
    if columns >= _PAIRS:
        return _read_lists(path, table, "prefix")
    if columns >= _SEQUENCES:
        return _read_lists(path, table.sort("seq_no") if "seq_no" in columns else table, "items")
    if columns >= _LOG:
        return _read_log(path, table)
    raise UnknownFormat(
        f"{path.name} must have the columns items, or prefix and target, or event_time, session_id and "
        f"item_id, got {', '.join(table.columns)}"
    )


def code_sessions(train: ItemFile, test: ItemFile | None = None) -> tuple[Sessions, Cases | None]:
    """Sessions to learn from and cases of the test file, in the same codes.

    Raises `ValueError` if the sessions to learn from are pairs, or the files name items in different types.
    """
    if train.targets is not None:
        raise ValueError(
            "the file to learn from must have sequences or events, got pairs of prefix and target"
        )
    named = [train.items]
    if test is not None:
        named += [test.items] if test.targets is None else [test.items, test.targets]
    if len({one.dtype.is_integer() for one in named}) > 1:
        raise ValueError(
            f"items must be of one type in both files, got {train.items.dtype} and {named[-1].dtype}"
        )
    coded = _code(named)
    n_items = 1 + max((int(one.max(initial=-1)) for one in coded), default=-1)
    sessions = Sessions(coded[0], train.starts, n_items, train.actions, train.at_ms)
    if test is None:
        return sessions, None
    if test.targets is None:
        return sessions, cases_of(Sessions(coded[1], test.starts, n_items, test.actions, test.at_ms))
    prefixes = [coded[1][a:b] for a, b in zip(test.starts[:-1], test.starts[1:], strict=True)]
    return sessions, cases_of_pairs(prefixes, coded[2])


def names_of(file: ItemFile) -> npt.NDArray[np.str_]:
    """The names of the items of a file that was coded alone, by code."""
    return file.items.unique().sort().cast(pl.String).to_numpy().astype(np.str_)


def _code(named: Sequence[pl.Series]) -> list[npt.NDArray[np.int32]]:
    """Codes from 0 for the items of all series together."""
    common = pl.Int64 if named[0].dtype.is_integer() else pl.String
    joined = pl.concat([one.cast(common).rename("item") for one in named])
    codes = joined.rank("dense").to_numpy().astype(np.int32) - 1
    return np.split(codes, np.cumsum([len(one) for one in named])[:-1])


def _read_lists(path: Path, table: pl.DataFrame, column: str) -> ItemFile:
    if not isinstance(table.schema[column], pl.List):
        raise UnknownFormat(f"{path.name}: {column} must be a list of items, got {table.schema[column]}")
    size = table[column].list.len()
    filled = table.filter(size > 0)
    items = filled[column].explode()
    if items.null_count() or ("target" in table.columns and table["target"].null_count()):
        raise UnknownFormat(f"{path.name}: items must not be null")
    starts = np.append(0, np.cumsum(filled[column].list.len().to_numpy())).astype(np.int64)
    targets = filled["target"] if column == "prefix" else None
    return ItemFile(items, starts, targets, left_out=len(table) - len(filled))


def _read_log(path: Path, table: pl.DataFrame) -> ItemFile:
    kept = table.drop_nulls(["event_time", "session_id", "item_id"])
    if kept.schema["event_time"] == pl.String:
        kept = kept.with_columns(pl.col("event_time").str.to_datetime(time_zone="UTC", strict=False))
        kept = kept.drop_nulls("event_time")
    if not isinstance(kept.schema["event_time"], pl.Datetime):
        raise UnknownFormat(f"{path.name}: event_time must be a time, got {kept.schema['event_time']}")
    actions = None
    if "event_type" in kept.columns:
        kept = kept.filter(pl.col("event_type").is_in(ACTIONS))
    kept = kept.with_columns(
        pl.col("event_time").min().over("session_id").alias("start"), pl.int_range(pl.len()).alias("row")
    ).sort("start", "session_id", "event_time", "row")
    if "event_type" in kept.columns:
        actions = kept["event_type"].replace_strict(ACTIONS, range(len(ACTIONS))).to_numpy().astype(np.int8)
    new = (kept["session_id"] != kept["session_id"].shift(1)).fill_null(True).to_numpy()
    return ItemFile(
        kept["item_id"],
        np.append(np.flatnonzero(new), len(kept)).astype(np.int64),
        None,
        actions,
        kept["event_time"].dt.epoch("ms").to_numpy().astype(np.int64),
        len(table) - len(kept),
    )
