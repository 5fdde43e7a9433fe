"""Parquet files of an archive: how they are written, so that a visitor, a day or a kind touches little."""

from collections import Counter
from collections.abc import Mapping
from io import BytesIO

import orjson
import polars as pl

from sources.archive.manifest import EVENTS
from sources.archive.schema import EVENT_ORDER, RECORD_ORDER

FILE_SCHEMA = 1
GROUP_ROWS = 25_000
"""Rows of a row group. Readers skip groups by the least and greatest values in them: those of a file are in
order of kind and visitor, so one visitor is in a group or two of each kind that they did."""
METADATA = "storepulse"

OffsetRanges = Mapping[str, Mapping[str, tuple[int, int]]]
"""First and last offset by topic and partition."""


def encode_file(frame: pl.DataFrame, dataset: str) -> bytes:
    """Rows as a parquet file, in the order of the dataset."""
    order = EVENT_ORDER if dataset == EVENTS else RECORD_ORDER
    described = {"schema": FILE_SCHEMA, "dataset": dataset, "offsets": offset_ranges(frame)}
    content = BytesIO()
    frame.sort(order).write_parquet(
        content,
        compression="zstd",
        compression_level=3,
        statistics=True,
        row_group_size=GROUP_ROWS,
        metadata={METADATA: orjson.dumps(described).decode()},
    )
    return content.getvalue()


def offset_ranges(frame: pl.DataFrame) -> OffsetRanges:
    """First and last offset of each partition that rows are of."""
    ranges: dict[str, dict[str, tuple[int, int]]] = {}
    found = frame.group_by("topic", "partition").agg(
        first=pl.col("offset").min(), last=pl.col("offset").max()
    )
    for topic, partition, first, last in found.sort("topic", "partition").iter_rows():
        ranges.setdefault(topic, {})[str(partition)] = (first, last)
    return ranges


def described_offsets(content: bytes) -> OffsetRanges:
    """First and last offsets as the metadata of a file has them."""
    described = orjson.loads(pl.read_parquet_metadata(BytesIO(content))[METADATA])
    return {
        topic: {partition: (first, last) for partition, (first, last) in ranges.items()}
        for topic, ranges in described["offsets"].items()
    }


def days_of(frame: pl.DataFrame, dataset: str) -> dict[str, int]:
    """Rows by UTC day: of the event, or of the arrival where it is not known when a record happened."""
    days = frame.select(day_expression(dataset)).to_series().to_list()
    return dict(sorted(Counter(days).items()))


def day_expression(dataset: str) -> pl.Expr:
    """The UTC day of a row, as `2026-11-30`."""
    time = "event_time" if dataset == EVENTS else "kafka_time"
    return pl.col(time).dt.strftime("%Y-%m-%d").alias("day")
