"""Reading everything the stream keeps in Redis, and knowing when it is done."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis import Redis

from contracts.keys import Keys
from contracts.visitor import unpack_visitor
from ops.audit.compare import CartView, Totals, VisitorView

PAGE = 1_000
COUNTERS = ("applied", "duplicates", "late", "rejected", "lost", "scored", "skipped", "forgotten")


def read_state(redis: Redis, keys: Keys) -> Totals:
    """Everything in the installation's keys, partitions added up; `redis` must not decode answers."""
    totals = Totals()
    for p in range(keys.partitions):
        prefix = keys.prefix(p)
        names = [key.decode() for key in redis.scan_iter(match=f"{prefix}*", count=PAGE)]
        for page in _pages(names):
            _read_page(redis, totals, prefix, page)
    totals.buckets = {bucket: count for bucket, count in totals.buckets.items() if count}
    return totals


def has_settled(
    redis: Redis, keys: Keys, ends: Mapping[tuple[str, int], int], *, disorder_ms: int, live: bool
) -> bool:
    """Whether all records up to `ends` (next offsets) are applied and every deadline to come has fired.

    In live traffic (`live`) the clock ends every session and every alert, for which the settings must be such
    that alerts do not stay open for long; in a replay the newest event does.
    """
    for p in range(keys.partitions):
        meta: dict[Any, Any] = redis.hgetall(keys.meta(p))
        for (topic, partition), end in ends.items():
            if partition == p and end and int(meta.get(f"off:{topic}".encode(), -1)) != end:
                return False
        earliest: list[Any] = redis.zrange(keys.due(p), 0, 0, withscores=True)
        watermark_ms = int(meta.get(b"max_event_ms", 0)) - disorder_ms
        if earliest and (live or earliest[0][1] < watermark_ms):
            return False
    return True


def _read_page(redis: Redis, totals: Totals, prefix: str, names: Sequence[str]) -> None:
    pipe = redis.pipeline(transaction=False)
    wanted = []
    for name in names:
        kind, _, rest = name.removeprefix(prefix).partition(":")
        if kind in ("d", "s", "meta"):
            pipe.hgetall(name)
        elif kind == "v":
            pipe.get(name)
        elif kind == "t":
            pipe.zrange(name, 0, -1, withscores=True)
        else:
            continue
        wanted.append((kind, rest))
    for (kind, rest), answer in zip(wanted, pipe.execute(), strict=True):
        if kind == "v":
            totals.visitors[rest] = _view(answer)
        elif kind == "t":
            for product, score in answer:
                place = (int(rest), product.decode())
                totals.trend[place] = totals.trend.get(place, 0.0) + score
        elif kind == "meta":
            totals.counters.update({c: int(answer.get(c.encode(), 0)) for c in COUNTERS})
        else:
            _add_bucket(totals, "product" if kind == "d" else "shop", rest, answer)


def _add_bucket(totals: Totals, kind: str, rest: str, fields: Mapping[bytes, bytes]) -> None:
    grain, _, start = rest.partition(":")
    for field, count in fields.items():
        bucket = (kind, grain, int(start), field.decode())
        totals.buckets[bucket] = totals.buckets.get(bucket, 0) + int(count)


def _view(blob: bytes) -> VisitorView:
    visitor = unpack_visitor(blob)
    whole, last = visitor.totals, visitor.head
    return VisitorView(
        first_ms=whole.first_ms,
        last_ms=whole.last_ms,
        counts=tuple(whole.counts),
        units=whole.units,
        revenue_minor=whole.revenue_minor,
        session_number=last.number,
        session_start_ms=last.start_ms,
        session_last_ms=last.last_ms,
        session_counts=tuple(last.counts),
        session_units=last.units,
        session_revenue_minor=last.revenue_minor,
        session_id=last.session_id,
        cart={product: CartView(*line) for product, line in last.cart.items()},
        ended=visitor.ended,
    )


def _pages(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), PAGE):
        yield names[start : start + PAGE]
