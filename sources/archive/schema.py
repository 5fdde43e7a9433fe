"""Columns of the archive, and events to rows and back."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import polars as pl

from contracts.currencies import MINOR_DIGITS
from contracts.events import GUEST, LOGGED_OUT, Event, EventType, Statement

PRICE_DIGITS = 3
"""Digits after the point of `price`: as many as any currency has."""
_TIME = pl.Datetime("ms", "UTC")
EVENT_COLUMNS: dict[str, Any] = {
    "event_id": pl.String,
    "event_type": pl.String,
    "event_time": _TIME,
    "visitor_id": pl.String,
    "anonymous_id": pl.String,
    "user_id": pl.String,
    "logged_out": pl.Boolean,
    "product_id": pl.String,
    "session_id": pl.String,
    "price": pl.Decimal(18, PRICE_DIGITS),
    "currency": pl.String,
    "quantity": pl.Int64,
    "category": pl.String,
    "brand": pl.String,
    "order_id": pl.String,
    "extra": pl.String,
    "topic": pl.String,
    "partition": pl.Int32,
    "offset": pl.Int64,
    "kafka_time": _TIME,
}
"""Columns of the dataset of events, in their order (docs/archive.md)."""
RECORD_COLUMNS: dict[str, Any] = {
    "key": pl.Binary,
    "value": pl.Binary,
    "topic": pl.String,
    "partition": pl.Int32,
    "offset": pl.Int64,
    "kafka_time": _TIME,
}
"""Columns of the datasets of other topics, whose records are kept as they are."""
EVENT_ORDER = ("event_type", "visitor_id", "event_time", "topic", "partition", "offset")
RECORD_ORDER = ("key", "partition", "offset")
_STORED = EVENT_COLUMNS | {"price": pl.Int64, "event_time": pl.Int64, "kafka_time": pl.Int64}
READ_COLUMNS = (
    "event_id", "event_type", "event_time", "anonymous_id", "user_id", "logged_out", "product_id",
    "session_id", "price", "currency", "quantity", "category", "brand", "order_id", "extra",
)  # fmt: skip
"""Those that make an event."""
_TYPES: dict[str, EventType | Statement] = {
    **{kind.value: kind for kind in EventType},
    **{kind.value: kind for kind in Statement},
}


def to_row(event: Event, topic: str, partition: int, offset: int, kafka_ms: int) -> tuple[Any, ...]:
    """The row of an event, for `to_frame`; `topic` is the plain name."""
    visitor_id, customer_id = event.user_id, event.customer_id
    logged_out = customer_id == LOGGED_OUT
    price, currency = event.price_minor, event.currency
    if price is not None and currency is not None:
        price *= 10 ** (PRICE_DIGITS - MINOR_DIGITS[currency])
    return (
        event.event_id,
        event.event_type.value,
        event.event_time_ms,
        visitor_id,
        None if customer_id is None else visitor_id,
        visitor_id if customer_id is None else (None if logged_out or customer_id == GUEST else customer_id),
        logged_out,
        event.product_id or None,
        event.session_id,
        price,
        currency,
        event.quantity,
        event.category,
        event.brand,
        event.order_id,
        None if event.extra is None else orjson.dumps(event.extra).decode(),
        topic,
        partition,
        offset,
        kafka_ms,
    )


def to_frame(rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows of events with the columns `EVENT_COLUMNS`."""
    frame = pl.DataFrame(list(rows), schema=_STORED, orient="row")
    return frame.with_columns(
        (pl.col("price").cast(pl.Decimal(38, PRICE_DIGITS)) / 10**PRICE_DIGITS).cast(EVENT_COLUMNS["price"]),
        pl.col("event_time", "kafka_time").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"),
    )


def to_events(frame: pl.DataFrame) -> Iterator[Event]:
    """The events of rows, in their order: what `contracts.events.decode` gave for the records."""
    thousandths = (pl.col("price") * 10**PRICE_DIGITS).cast(pl.Int64)
    plain = frame.select(READ_COLUMNS).with_columns(thousandths, pl.col("event_time").dt.epoch("ms"))
    for (
        event_id, event_type, time_ms, anonymous_id, user_id, logged_out, product_id, session_id, price,
        currency, quantity, category, brand, order_id, extra,
    ) in plain.iter_rows():  # fmt: skip
        customer_id = None
        if anonymous_id is not None:
            customer_id = user_id or (LOGGED_OUT if logged_out else GUEST)
        if price is not None:
            price //= 10 ** (PRICE_DIGITS - MINOR_DIGITS[currency])
        yield Event(
            event_id, _TYPES[event_type], time_ms, user_id if anonymous_id is None else anonymous_id,
            product_id or "", session_id, price, currency, quantity, category, brand, order_id,
            None if extra is None else orjson.loads(extra), customer_id,
        )  # fmt: skip


def to_record_frame(rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows of records of another topic, whose last value is the time in ms, with `RECORD_COLUMNS`."""
    frame = pl.DataFrame(list(rows), schema=RECORD_COLUMNS | {"kafka_time": pl.Int64}, orient="row")
    return frame.with_columns(pl.col("kafka_time").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"))
