"""The archive against what was sent: every copy of every event in one row, with all that it says."""

import polars as pl

from contracts.currencies import MINOR_DIGITS
from contracts.settings import Settings
from sources.archive import find_manifest, open_store, scan_events

_SHOWN = 5
_COLUMNS = (
    "event_id", "event_type", "at_ms", "user_id", "product_id", "quantity", "price_minor", "currency",
    "order_id", "session_id", "category", "brand",
)  # fmt: skip


def archive_differences(settings: Settings, sent: pl.DataFrame) -> list[str]:
    """What of the sent events (`SendLog.frame`) the archive lacks or has too much, in words."""
    store = open_store(settings.archive)
    manifest = find_manifest(store)
    if manifest is None:
        return [f"archive: there is none in {settings.archive}"]
    rows = scan_events(store, manifest).collect()
    differences = []
    places = rows.select("topic", "partition", "offset")
    if places.is_duplicated().any():
        differences.append(f"archive: {places.is_duplicated().sum()} rows are of a record that has another")
    found, expected = _counted(_as_sent(rows)), _counted(sent.select(_COLUMNS))
    unlike = expected.join(
        found, on=list(_COLUMNS), how="full", coalesce=True, nulls_equal=True
    ).with_columns(pl.col("copies", "copies_right").fill_null(0))
    unlike = unlike.filter(pl.col("copies") != pl.col("copies_right"))
    if len(unlike):
        examples = unlike.head(_SHOWN).select("event_id", "copies", "copies_right").rows()
        differences.append(
            f"archive: {len(unlike)} events are there in other copies than were sent (id, sent, archived): "
            f"{examples}"
        )
    return differences


def archived_rows(settings: Settings) -> int:
    """Rows of all files of the archive."""
    manifest = find_manifest(open_store(settings.archive))
    return 0 if manifest is None else manifest.rows


def _as_sent(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as the send log has events."""
    digits = pl.col("currency").replace_strict(MINOR_DIGITS, default=None, return_dtype=pl.Int64)
    return rows.with_columns(
        at_ms=pl.col("event_time").dt.epoch("ms"),
        user_id=pl.col("visitor_id"),
        price_minor=((pl.col("price") * 1_000).cast(pl.Int64) // 10 ** (3 - digits)).cast(pl.Int64),
    ).select(_COLUMNS)


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(_COLUMNS).agg(copies=pl.len().cast(pl.Int64))
