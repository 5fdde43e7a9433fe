"""External sort by event time: rows go to parquet parts on disk and come back in chunks, in order."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

PART_ROWS = 250_000
CHUNK_ROWS = 250_000
_MINUTE_MS = 60_000


def stage_lines(
    lines: Iterable[tuple[int, int | None, bytes]], folder: Path, part_rows: int = PART_ROWS
) -> None:
    """Write `(row, time_ms, line)` to parquet parts in `folder`; a line without a time has None."""
    rows = iter(lines)
    schema = {"row": pl.Int64, "time_ms": pl.Int64, "line": pl.Binary}
    for number, part in enumerate(iter(lambda: list(islice(rows, part_rows)), [])):
        frame = pl.DataFrame(part, schema=schema, orient="row")
        frame.write_parquet(folder / f"part-{number:06d}.parquet", compression="zstd", compression_level=1)
    if not any(folder.iterdir()):
        pl.DataFrame(schema=schema).write_parquet(folder / "part-000000.parquet")


def count_rows(folder: Path) -> int:
    """Rows staged in `folder`."""
    return int(_scan(folder).select(pl.len()).collect().item())


def in_time_order(folder: Path, skip: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
    """The staged rows by time, ties in file order, after the first `skip` of them.

    Rows without a time come first: they will be refused. A chunk never splits a minute, so equal rows of one
    time are always seen together; a minute of more than `chunk_rows` rows makes a longer chunk. The column
    `skipped` marks rows of the first chunk that are there only so that equal rows can be counted.
    """
    for lowest, bound, n_rows in _chunk_bounds(folder, chunk_rows):
        if n_rows <= skip:
            skip -= n_rows
            continue
        staged = _scan(folder)
        if bound is None:
            wanted = staged.filter(pl.col("time_ms").is_null())
        else:
            wanted = staged.filter(pl.col("time_ms").is_between(lowest, bound, closed="left"))
        chunk = wanted.sort("time_ms", "row").collect()
        yield chunk.with_columns(skipped=pl.int_range(pl.len()) < skip)
        skip = 0


def _chunk_bounds(folder: Path, chunk_rows: int) -> Iterator[tuple[int, int | None, int]]:
    """`(lowest, bound, rows)` of each chunk: times in [lowest, bound); bound None: rows without a time."""
    minute = (pl.col("time_ms") // _MINUTE_MS).alias("minute")
    counts = _scan(folder).group_by(minute).agg(n=pl.len()).sort("minute", nulls_last=False).collect()
    lowest: int | None = None
    last, rows = 0, 0
    for this, n_rows in counts.iter_rows():
        if this is None:
            yield 0, None, n_rows
            continue
        if lowest is not None and rows + n_rows > chunk_rows:
            yield lowest * _MINUTE_MS, (last + 1) * _MINUTE_MS, rows
            lowest, rows = None, 0
        if lowest is None:
            lowest = this
        last, rows = this, rows + n_rows
    if lowest is not None:
        yield lowest * _MINUTE_MS, (last + 1) * _MINUTE_MS, rows


def _scan(folder: Path) -> pl.LazyFrame:
    return pl.scan_parquet(folder / "part-*.parquet")
