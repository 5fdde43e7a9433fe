"""External sort by event time: rows go to parquet parts on disk and come back in chunks, in order.

What is in memory is bounded by rows and by bytes, whatever the file: a part, or a chunk.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from sources.formats import UnknownFormat

PART_ROWS = 250_000
PART_BYTES = 32 * 1024 * 1024
CHUNK_ROWS = 250_000
CHUNK_BYTES = 32 * 1024 * 1024
SAME_TIME_ROWS = 1_000_000
SAME_TIME_BYTES = 256 * 1024 * 1024
_MINUTE_MS = 60_000
_UNTIMED_ROWS = 1_000
"""Rows without a time are counted in groups of so many row numbers."""
_SCHEMA = {"row": pl.Int64, "time_ms": pl.Int64, "line": pl.Binary}
_COUNTED = "n_bytes"
"""A column of parts of text files: the length of the line, so that lines need not be read to add it up."""


def stage_lines(lines: Iterable[tuple[int, int | None, bytes]], folder: Path) -> None:
    """Write `(row, time_ms, line)` to parquet parts in `folder`; a line without a time has None."""
    part: list[tuple[int, int | None, bytes]] = []
    n_parts = size = 0
    for line in lines:
        part.append(line)
        size += len(line[2])
        if len(part) >= PART_ROWS or size >= PART_BYTES:
            _write_part(part, folder, n_parts)
            part, size, n_parts = [], 0, n_parts + 1
    if part or not n_parts:
        _write_part(part, folder, n_parts)


class Chunk(NamedTuple):
    """Rows that are read together: those of times, or else of row numbers, in [`lowest`, `bound`)."""

    timed: bool
    lowest: int
    bound: int
    rows: int


def plan_chunks(folder: Path, chunk_rows: int = CHUNK_ROWS, chunk_bytes: int = CHUNK_BYTES) -> list[Chunk]:
    """Chunks of all staged rows in their order: those without a time first, for they will be rejected.

    A chunk never splits a time, so that equal rows of one are always seen together; raises `UnknownFormat` if
    more rows have the same time than fit into memory.
    """
    staged = _scan(folder)
    size = pl.col(_COUNTED).sum() if _COUNTED in staged.collect_schema() else pl.len() * 0
    counted = [pl.len().alias("rows"), size.alias("bytes")]

    def count(rows: pl.LazyFrame, group: pl.Expr, width: int) -> Iterator[tuple[int, int, int, int]]:
        groups = rows.group_by(group.alias("group")).agg(counted).sort("group").collect()
        for number, n_rows, n_bytes in groups.iter_rows():
            yield number * width, (number + 1) * width, n_rows, n_bytes

    def count_times() -> Iterator[tuple[int, int, int, int]]:
        timed = staged.filter(pl.col("time_ms").is_not_null())
        for lowest, bound, n_rows, n_bytes in count(timed, pl.col("time_ms") // _MINUTE_MS, _MINUTE_MS):
            if n_rows <= chunk_rows and n_bytes <= chunk_bytes:
                yield lowest, bound, n_rows, n_bytes
            else:
                minute = timed.filter(pl.col("time_ms").is_between(lowest, bound, closed="left"))
                yield from map(_check_same_time, count(minute, pl.col("time_ms"), 1))

    untimed = staged.filter(pl.col("time_ms").is_null())
    no_times = count(untimed, pl.col("row") // _UNTIMED_ROWS, _UNTIMED_ROWS)
    return [
        *_gather(no_times, chunk_rows, chunk_bytes, timed=False),
        *_gather(count_times(), chunk_rows, chunk_bytes, timed=True),
    ]


def in_time_order(folder: Path, chunks: Iterable[Chunk], skip: int = 0) -> Iterator[pl.DataFrame]:
    """The staged rows by time, ties in file order, after the first `skip` of them; `chunks` are all of them.

    The column `skipped` marks rows of the first chunk that are there only so that equal rows can be counted.
    """
    for chunk in chunks:
        if chunk.rows <= skip:
            skip -= chunk.rows
            continue
        column = "time_ms" if chunk.timed else "row"
        wanted = pl.col(column).is_between(chunk.lowest, chunk.bound, closed="left")
        if not chunk.timed:
            wanted &= pl.col("time_ms").is_null()
        frame = _read(folder, wanted).sort("time_ms", "row")
        yield frame.with_columns(skipped=pl.int_range(pl.len()) < skip)
        skip = 0


def _gather(
    groups: Iterable[tuple[int, int, int, int]], chunk_rows: int, chunk_bytes: int, *, timed: bool
) -> Iterator[Chunk]:
    """Groups that follow each other, as many in a chunk as it may have rows and bytes; at least one."""
    lowest = last = rows = size = 0
    for start, bound, n_rows, n_bytes in groups:
        if rows and (rows + n_rows > chunk_rows or size + n_bytes > chunk_bytes):
            yield Chunk(timed, lowest, last, rows)
            rows = size = 0
        if not rows:
            lowest = start
        last, rows, size = bound, rows + n_rows, size + n_bytes
    if rows:
        yield Chunk(timed, lowest, last, rows)


def _check_same_time(group: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    _, _, n_rows, n_bytes = group
    if n_rows > SAME_TIME_ROWS or n_bytes > SAME_TIME_BYTES:
        raise UnknownFormat(
            f"{n_rows} rows have the same time, and at most {SAME_TIME_ROWS} rows or "
            f"{SAME_TIME_BYTES // 2**20} MiB of them can be put in order: is it the right column?"
        )
    return group


def _write_part(part: list[tuple[int, int | None, bytes]], folder: Path, number: int) -> None:
    frame = pl.DataFrame(part, schema=_SCHEMA, orient="row").with_columns(
        pl.col("line").bin.size().cast(pl.Int64).alias(_COUNTED)
    )
    frame.write_parquet(folder / f"part-{number:06d}.parquet", compression="zstd", compression_level=1)


def _read(folder: Path, wanted: pl.Expr) -> pl.DataFrame:
    """The wanted rows, part after part: all at once, as many parts as there are cores would be in memory."""
    parts = sorted(folder.glob("part-*.parquet"))
    found = [pl.scan_parquet(part).filter(wanted).drop(_COUNTED, strict=False).collect() for part in parts]
    return pl.concat(found)


def _scan(folder: Path) -> pl.LazyFrame:
    return pl.scan_parquet(folder / "part-*.parquet")
