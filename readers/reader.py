"""Reads of Redis: one pipeline per question, and sums over partitions done where the data is."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from connections.redis_troubles import is_code
from contracts.buckets import Grain, Metric
from contracts.clock import wall_clock_ms
from contracts.heartbeat import HEARTBEAT_TTL_S, Heartbeat, from_hash
from contracts.keys import Keys
from contracts.settings import Settings
from models.next_action.item_counts import read_counts
from models.next_action.prices import PriceLevel
from models.next_action.rates import NOTHING, Funnel
from readers.intervals import Cover
from readers.shared_answer import SharedAnswer
from readers.shared_pipeline import SharedPipeline
from readers.stream_time import PartitionMeta, StreamClock, StreamTime, clock_of, stream_time
from readers.unreadable import UNREADABLE

_META_FIELDS = ("max_event_ms", "broker_ms", "applied", "duplicates", "late", "rejected", "lost", "forgotten")
_FOLDER = Path(__file__).parent
_SUM_BUCKETS = (_FOLDER / "sum_buckets.lua").read_text()
_SUM_FIELDS = (_FOLDER / "sum_fields.lua").read_text()
_READ_BUCKETS = (_FOLDER / "read_buckets.lua").read_text()

RECENT_S = 0.1
"""Oldest that what tells the stream's time may be: to read it costs a command of every partition."""

Counts = dict[str, int]
"""Field name of a bucket to its value."""


class Reader:
    """Questions to one installation's state. Every method raises `redis.RedisError` if Redis is away."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.redis = redis
        self.settings = settings
        self.keys = Keys(settings.namespace, settings.partitions)
        self.partitions = range(settings.partitions)
        self.ask = SharedPipeline(redis).ask
        self.recent_clock = SharedAnswer(self.clock, max_age_s=RECENT_S, renew_after_s=0.8 * RECENT_S)

    async def metas(self) -> list[PartitionMeta]:
        """What each partition says of itself, in the order of the partitions."""
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            pipe.hmget(self.keys.meta(p), list(_META_FIELDS))
        return [_to_meta(values) for values in await pipe.execute()]

    async def clock(self) -> StreamClock:
        """How far the stream has come."""
        return clock_of(await self.metas())

    async def stream_time(self) -> StreamTime:
        """The time answers are about; in a replay the newest event as of `RECENT_S` ago at most."""
        return stream_time(await self.recent_clock.get(), now_ms=wall_clock_ms())

    async def price_level(self) -> PriceLevel:
        """The shop's level of prices: those of the partitions, by their weights; unknown before any price."""
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            pipe.hmget(self.keys.meta(p), ["price_mean_log", "price_weight"])
        found = [(_number(mean), _number(weight)) for mean, weight in await pipe.execute()]
        weight = sum(weight for _, weight in found)
        mean_log = sum(mean * weight for mean, weight in found) / weight if weight else 0.0
        return PriceLevel(mean_log, weight)

    async def count_items(self, names: Sequence[str]) -> dict[str, Funnel]:
        """What was done of products, categories or the whole shop, by the name each is counted under.

        See `models.next_action.rates`; all partitions together.
        """
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            pipe.hmget(self.keys.item_counts(p), list(names))
        found = dict.fromkeys(names, NOTHING)
        for texts in await pipe.execute():
            for name, text in zip(names, texts, strict=True):
                found[name] = found[name].joined(_funnel(text))
        return found

    async def currencies(self) -> list[str]:
        """Currencies seen in purchases, sorted."""
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            pipe.smembers(self.keys.currencies(p))
        return sorted({code.decode() for codes in await pipe.execute() for code in codes})

    async def heartbeats(self, *, now_ms: int) -> list[Heartbeat]:
        """Workers that were heard of within `HEARTBEAT_TTL_S`, by their ids."""
        since_ms = now_ms - HEARTBEAT_TTL_S * 1_000
        ids: list[Any] = await self.redis.zrangebyscore(self.keys.workers(), since_ms, "+inf")
        pipe = self.redis.pipeline(transaction=False)
        for worker_id in sorted(ids):
            pipe.hgetall(self.keys.worker(worker_id.decode()))
        hashes = await pipe.execute(raise_on_error=False) if ids else []
        for failed in (fields for fields in hashes if isinstance(fields, Exception)):
            if not is_code(failed, "WRONGTYPE"):
                raise failed
        sound = [fields for fields in hashes if isinstance(fields, dict) and fields]
        return [heartbeat for fields in sound if (heartbeat := _to_heartbeat(fields))]

    async def count_active(self, *, since_ms: int) -> int:
        """Visitors whose last event is at `since_ms` or later."""
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            pipe.zcount(self.keys.active(p), since_ms, "+inf")
        return sum(await pipe.execute())

    async def newest_visitors(self, limit: int) -> list[tuple[str, int]]:
        """The visitors who acted last and when (event time, epoch ms), the newest first."""
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            pipe.zrange(self.keys.active(p), 0, limit - 1, desc=True, withscores=True)
        found = [(raw.decode(), int(at_ms)) for rows in await pipe.execute() for raw, at_ms in rows]
        return sorted(found, key=lambda one: (-one[1], one[0]))[:limit]

    async def sum_shop(self, covers: Sequence[Cover], fields: Sequence[str]) -> list[Counts]:
        """Per cover: the sums of the shop's fields over its buckets and all partitions."""
        pipe = self.redis.pipeline(transaction=False)
        for hours, minutes in covers:
            for p in self.partitions:
                keys = [self.keys.shop_bucket(p, "hour", start) for start in hours]
                keys += [self.keys.shop_bucket(p, "minute", start) for start in minutes]
                pipe.eval(_SUM_BUCKETS, len(keys), *keys, *fields)
        replies = await pipe.execute()
        n = len(self.partitions)
        return [_sum_replies(fields, replies[i * n : (i + 1) * n]) for i in range(len(covers))]

    async def read_shop(self, grain: Grain, starts: Sequence[int], fields: Sequence[str]) -> list[Counts]:
        """Per bucket: the shop's fields summed over the partitions."""
        names = [[self.keys.shop_bucket(p, grain, start) for start in starts] for p in self.partitions]
        return await self._read(names, fields, fields)

    async def read_product(
        self, product_id: str, grain: Grain, starts: Sequence[int], metrics: Sequence[str]
    ) -> list[Counts]:
        """Per bucket: the product's metrics summed over the partitions."""
        names = [[self.keys.product_bucket(p, grain, start) for start in starts] for p in self.partitions]
        return await self._read(names, [f"{metric}:{product_id}" for metric in metrics], metrics)

    async def sum_quality(self, grain: Grain, starts: Sequence[int]) -> Counts:
        """Counters of predictions, alerts and verdicts (`models.quality`), all partitions together."""
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            keys = [self.keys.quality_bucket(p, grain, start) for start in starts]
            pipe.eval(_SUM_FIELDS, len(keys), *keys)
        keys = [self.keys.feedback_bucket(grain, start) for start in starts]
        pipe.eval(_SUM_FIELDS, len(keys), *keys)
        return _sum_named(await pipe.execute())

    async def sum_exposures(self, grain: Grain, starts: Sequence[int]) -> Counts:
        """Counters of what was recommended (`models.exposures`), all partitions together."""
        pipe = self.redis.pipeline(transaction=False)
        for p in self.partitions:
            keys = [self.keys.exposure_bucket(p, grain, start) for start in starts]
            pipe.eval(_SUM_FIELDS, len(keys), *keys)
        return _sum_named(await pipe.execute())

    async def _read(
        self, names: list[list[str]], stored_fields: Sequence[str], fields: Sequence[str]
    ) -> list[Counts]:
        pipe = self.redis.pipeline(transaction=False)
        for keys in names:
            pipe.eval(_READ_BUCKETS, len(keys), *keys, *stored_fields)
        sums = [sum(values) for values in zip(*await pipe.execute(), strict=True)]
        width = len(fields)
        return [dict(zip(fields, sums[i : i + width], strict=True)) for i in range(0, len(sums), width)]


def money_fields(currencies: Iterable[str]) -> list[str]:
    """The fields of each currency: revenue and what went back."""
    return [start + code for code in currencies for start in (Metric.REVENUE, Metric.REFUNDED)]


def revenue_of(counts: Counts) -> dict[str, int]:
    """Currency to minor units of gross revenue, of the currencies with any in `counts`."""
    return _money_of(counts, Metric.REVENUE)


def refunded_of(counts: Counts) -> dict[str, int]:
    """Currency to minor units that went back, of the currencies with any in `counts`."""
    return _money_of(counts, Metric.REFUNDED)


def _money_of(counts: Counts, start: str) -> dict[str, int]:
    return {f[len(start) :]: minor for f, minor in counts.items() if minor and f.startswith(start)}


def _sum_named(replies: list[list[Any]]) -> Counts:
    sums: Counts = {}
    for flat in replies:
        for name, value in zip(flat[::2], flat[1::2], strict=True):
            sums[name.decode()] = sums.get(name.decode(), 0) + value
    return sums


def _sum_replies(fields: Sequence[str], replies: list[list[int]]) -> Counts:
    return dict(zip(fields, (sum(values) for values in zip(*replies, strict=True)), strict=True))


def _to_heartbeat(fields: dict[bytes, bytes]) -> Heartbeat | None:
    try:
        return from_hash({name.decode(): text.decode() for name, text in fields.items()})
    except (
        KeyError,
        TypeError,
        ValueError,
    ) as exc:  # of another version, perhaps
        UNREADABLE.note("a worker's heartbeat", exc)
        return None


def _to_meta(values: list[Any]) -> PartitionMeta:
    max_event, broker, *counters = values
    return PartitionMeta(
        None if max_event is None else int(_number(max_event)),
        None if broker is None else int(_number(broker)),
        *(int(_number(counter)) for counter in counters),
    )


def _funnel(text: bytes | None) -> Funnel:
    if text is None:
        return NOTHING
    try:
        return read_counts(text.decode()).funnel
    except ValueError as exc:
        UNREADABLE.note("what is counted of an item", exc)
        return NOTHING


def _number(value: bytes | None) -> float:
    """A number of a meta hash; 0 where there is none, or what is there is none."""
    if value is None:
        return 0
    try:
        number = float(value) if not value.isdigit() else int(value)
    except ValueError as exc:
        UNREADABLE.note("a number of a partition", exc)
        return 0
    return number if math.isfinite(number) else 0
