"""Demand of one product over time."""

from typing import NamedTuple

from api.http.errors import InvalidQuery
from api.http.query_times import parse_time
from api.resources.products import schemas
from contracts.buckets import GRAIN_MS, Grain, Metric, bucket_start, bucket_starts
from readers.answers import net_of, to_money
from readers.intervals import Interval, to_datetime
from readers.reader import Counts, Reader, money_fields, refunded_of, revenue_of
from readers.stream_time import StreamTime

MAX_BUCKETS = 1_500
_DEFAULT_BUCKETS: dict[Grain, int] = {"minute": 60, "hour": 48, "day": 30}
_METRICS = (
    Metric.VIEWS,
    Metric.FAVORITES,
    Metric.CARTS,
    Metric.REMOVES,
    Metric.PURCHASES,
    Metric.UNITS,
    Metric.RETURNED,
)


class DemandQuery(NamedTuple):
    """Which product, in which buckets, between which times."""

    product_id: str
    grain: Grain
    interval: Interval


async def read_demand(reader: Reader, query: DemandQuery, time: StreamTime) -> schemas.Demand:
    """The answer of `/v1/products/{product_id}/demand`."""
    grain = query.grain
    starts = list(bucket_starts(*query.interval, grain))
    metrics = (*_METRICS, *money_fields(await reader.currencies()))
    counts = await reader.read_product(query.product_id, grain, starts, metrics)
    settings = reader.settings
    retention_s = {
        "minute": settings.product_minute_ttl_s,
        "hour": settings.hour_ttl_s,
        "day": settings.day_ttl_s,
    }
    return schemas.Demand(
        as_of=to_datetime(time.as_of_ms),
        mode=time.mode,
        product_id=query.product_id,
        grain=grain,
        from_=to_datetime(starts[0]),
        to=to_datetime(starts[-1] + GRAIN_MS[grain]),
        retention_s=retention_s[grain],
        buckets=[_bucket(start, bucket) for start, bucket in zip(starts, counts, strict=True)],
    )


def choose_interval(from_text: str | None, to_text: str | None, grain: Grain, as_of_ms: int) -> Interval:
    """The interval asked for; whatever is not told is the grain's default span up to the running bucket.

    Raises `InvalidQuery` for times that are none, an empty interval, or one of more than `MAX_BUCKETS`.
    """
    width_ms = GRAIN_MS[grain]
    span_ms = _DEFAULT_BUCKETS[grain] * width_ms
    from_ms = None if from_text is None else parse_time("from", from_text)
    to_ms = None if to_text is None else parse_time("to", to_text)
    if to_ms is None:
        to_ms = bucket_start(as_of_ms, grain) + width_ms
        if from_ms is not None and from_ms >= to_ms:
            raise InvalidQuery("from", "in_future", "must be before the end of the current bucket")
    if from_ms is None:
        from_ms = to_ms - span_ms
    if from_ms >= to_ms:
        raise InvalidQuery("to", "not_after_from", "must be later than from")
    buckets = -(-(to_ms - bucket_start(from_ms, grain)) // width_ms)
    if buckets > MAX_BUCKETS:
        raise InvalidQuery(
            "from", "too_many_buckets", f"must ask for at most {MAX_BUCKETS} {grain} buckets, got {buckets}"
        )
    return Interval(from_ms, to_ms)


def _bucket(start_ms: int, counts: Counts) -> schemas.DemandBucket:
    gross, refunded = revenue_of(counts), refunded_of(counts)
    return schemas.DemandBucket(
        start=to_datetime(start_ms),
        views=counts[Metric.VIEWS],
        favorites=counts[Metric.FAVORITES],
        carts=counts[Metric.CARTS],
        removes=counts[Metric.REMOVES],
        purchases=counts[Metric.PURCHASES],
        units=counts[Metric.UNITS],
        revenue=to_money(gross),
        units_returned=counts[Metric.RETURNED],
        refunded=to_money(refunded),
        net_revenue=to_money(net_of(gross, refunded)),
    )
