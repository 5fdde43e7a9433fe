"""The shop right now: visitors, funnel, sales, the last half hour, workers."""

import asyncio
from collections.abc import Sequence
from functools import partial
from zoneinfo import ZoneInfo

from api.resources.live import schemas
from api.resources.live.backlog import StreamBacklog, to_backlog
from contracts.buckets import GRAIN_MS, Metric, bucket_start
from contracts.clock import wall_clock_ms
from contracts.heartbeat import Heartbeat
from readers.answers import net_of, to_money
from readers.intervals import Interval, cover, to_datetime, today, yesterday_at_this_time
from readers.reader import Counts, Reader, money_fields, refunded_of, revenue_of
from readers.shared_answer import SharedAnswer
from readers.stream_time import PartitionMeta, clock_of, stream_time

ACTIVE_MS = 5 * 60_000
CHART_MINUTES = 30
_MAX_AGE_S = 0.5

_SESSIONS = (Metric.SESSIONS, Metric.SESSIONS_VIEWED, Metric.SESSIONS_CARTED, Metric.SESSIONS_BOUGHT)
_SALES = (*_SESSIONS, Metric.CARTS_ABANDONED, Metric.ORDERS, Metric.UNITS)
_CHART = (Metric.VIEWS, Metric.FAVORITES, Metric.CARTS, Metric.REMOVES, Metric.PURCHASES)


class LiveReport(SharedAnswer[schemas.Live]):
    """The answer of `/v1/live`, shared by all who ask within half a second."""

    def __init__(self, reader: Reader, backlog: StreamBacklog) -> None:
        super().__init__(partial(read_live, reader, backlog), max_age_s=_MAX_AGE_S)


async def read_live(reader: Reader, backlog: StreamBacklog) -> schemas.Live:
    """The answer of `/v1/live`."""
    settings = reader.settings
    now_ms = wall_clock_ms()
    metas, currencies, workers, waiting = await asyncio.gather(
        reader.metas(), reader.currencies(), reader.heartbeats(now_ms=now_ms), backlog.get()
    )
    time = stream_time(clock_of(metas), now_ms=now_ms)
    zone = ZoneInfo(settings.timezone)
    days = (today(time.as_of_ms, zone), yesterday_at_this_time(time.as_of_ms, zone))
    minutes = chart_minutes(time.as_of_ms)
    active, (now, then), chart = await asyncio.gather(
        reader.count_active(since_ms=time.as_of_ms - ACTIVE_MS),
        reader.sum_shop([cover(day) for day in days], [*_SALES, *money_fields(currencies)]),
        reader.read_shop("minute", minutes, _CHART),
    )
    return schemas.Live(
        as_of=to_datetime(time.as_of_ms),
        mode=time.mode,
        durable=settings.durable,
        timezone=settings.timezone,
        active_visitors=active,
        events_per_s=sum(w.events_per_s for w in workers) if workers else None,
        delay=_slowest(workers),
        funnel_today=_funnel(now),
        carts_abandoned_today=now[Metric.CARTS_ABANDONED],
        today=_sales(days[0], now),
        yesterday_at_this_time=_sales(days[1], then),
        per_minute=[_minute(*pair) for pair in zip(minutes, chart, strict=True)],
        totals=_totals(metas),
        backlog=to_backlog(waiting),
        workers=[_worker(w) for w in workers],
    )


def chart_minutes(as_of_ms: int) -> Sequence[int]:
    """Starts of the last `CHART_MINUTES` minute buckets, the running one last."""
    width_ms = GRAIN_MS["minute"]
    end_ms = bucket_start(as_of_ms, "minute") + width_ms
    return range(end_ms - CHART_MINUTES * width_ms, end_ms, width_ms)


def _funnel(counts: Counts) -> schemas.Funnel:
    sessions, viewed, carted, bought = (counts[field] for field in _SESSIONS)
    return schemas.Funnel(sessions=sessions, viewed=viewed, carted=carted, bought=bought)


def _sales(interval: Interval, counts: Counts) -> schemas.Sales:
    gross, refunded = revenue_of(counts), refunded_of(counts)
    return schemas.Sales(
        from_=to_datetime(interval.from_ms),
        to=to_datetime(interval.to_ms),
        orders=counts[Metric.ORDERS],
        units=counts[Metric.UNITS],
        revenue=to_money(gross),
        refunded=to_money(refunded),
        net_revenue=to_money(net_of(gross, refunded)),
    )


def _minute(start_ms: int, counts: Counts) -> schemas.MinuteCounts:
    return schemas.MinuteCounts(
        start=to_datetime(start_ms),
        view=counts[Metric.VIEWS],
        favorite=counts[Metric.FAVORITES],
        cart=counts[Metric.CARTS],
        remove_from_cart=counts[Metric.REMOVES],
        purchase=counts[Metric.PURCHASES],
    )


def _slowest(workers: Sequence[Heartbeat]) -> schemas.Delay | None:
    if not workers:
        return None
    return schemas.Delay(
        p50_ms=max(w.delay_p50_ms for w in workers), p99_ms=max(w.delay_p99_ms for w in workers)
    )


def _worker(heartbeat: Heartbeat) -> schemas.Worker:
    return schemas.Worker(
        worker_id=heartbeat.worker_id,
        heard_at=to_datetime(heartbeat.at_ms),
        events_per_s=heartbeat.events_per_s,
        delay=schemas.Delay(p50_ms=heartbeat.delay_p50_ms, p99_ms=heartbeat.delay_p99_ms),
        rss_bytes=heartbeat.rss_bytes,
        partitions=list(heartbeat.partitions),
    )


def _totals(metas: Sequence[PartitionMeta]) -> schemas.Totals:
    return schemas.Totals(
        applied=sum(m.applied for m in metas),
        duplicates=sum(m.duplicates for m in metas),
        late=sum(m.late for m in metas),
        rejected=sum(m.rejected for m in metas),
        lost=sum(m.lost for m in metas),
        forgotten=sum(m.forgotten for m in metas),
    )
