"""The shop's job as one would write it on another framework: a session step, and a Redis MULTI per batch.

It does less than ours, which favours the peers: the fields are believed without checking, repeats are not
recognised, topics are not merged by time, no deadlines, trends or outbox, and no fence around the write.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgpack
from redis import Redis

from contracts.buckets import Grain, Metric, bucket_start
from contracts.keys import Keys
from contracts.settings import Settings

Fields = dict[str, Any]


class Step(NamedTuple):
    """One processed record: where it was, the event's fields, and the visitor's state after it."""

    topic: str
    partition: int
    offset: int
    event: Fields
    state: Fields


GRAINS: tuple[Grain, ...] = ("minute", "hour", "day")
_METRICS = {
    "view": Metric.VIEWS,
    "favorite": Metric.FAVORITES,
    "cart": Metric.CARTS,
    "remove_from_cart": Metric.REMOVES,
    "purchase": Metric.PURCHASES,
}


def advance(state: Fields | None, event: Fields, idle_ms: int) -> Fields:
    """The visitor's state after one event; a gap longer than `idle_ms` starts a new session."""
    at_ms = event["event_time"]
    if state is None or at_ms - state["last_ms"] > idle_ms:
        number = 1 if state is None else state["number"] + 1
        cart = {} if state is None else state["cart"]
        state = {"number": number, "start_ms": at_ms, "counts": {}, "revenue_minor": 0, "cart": cart}
    kind, product = event["event_type"], event["product_id"]
    state["last_ms"], state["last"] = at_ms, (kind, product)
    state["counts"][kind] = state["counts"].get(kind, 0) + 1
    if kind == "cart":
        state["cart"][product] = state["cart"].get(product, 0) + event.get("quantity", 1)
    elif kind == "purchase":
        state["cart"].pop(product, None)
        state["revenue_minor"] += _amount_minor(event)
    return state


class RedisWriter:
    """Adds a batch to counters and replaces the states of its visitors, in one MULTI pipeline."""

    def __init__(self, settings: Settings) -> None:
        self._client = Redis.from_url(settings.redis_url)
        self._keys = Keys(settings.namespace, settings.partitions)
        self._ttl_s = settings.visitor_ttl_s
        self._lifetimes_s = {
            "minute": settings.product_minute_ttl_s,
            "hour": settings.hour_ttl_s,
            "day": settings.day_ttl_s,
        }

    def start(self) -> None:
        """Show that reading begins now."""
        self._client.hincrby(self._keys.meta(0), "applied", 0)

    def write(self, steps: Iterable[Step]) -> None:
        """Write one batch; steps of one visitor must be in order."""
        changes: defaultdict[tuple[str, Grain], Counter[str]] = defaultdict(Counter)
        visitors: dict[tuple[int, str], Fields] = {}
        applied: Counter[int] = Counter()
        ends: dict[tuple[int, str], int] = {}
        for topic, p, offset, event, state in steps:
            self._count(changes, p, event)
            visitors[p, event["user_id"]] = state
            applied[p] += 1
            ends[p, topic] = max(offset + 1, ends.get((p, topic), 0))  # engines group by visitor
        with self._client.pipeline(transaction=True) as pipe:
            for (key, grain), fields in changes.items():
                for name, change in fields.items():
                    pipe.hincrby(key, name, change)
                pipe.expire(key, self._lifetimes_s[grain])
            for (p, user_id), state in visitors.items():
                pipe.set(self._keys.visitor_in(p, user_id), msgpack.packb(state), ex=self._ttl_s)
                pipe.zadd(self._keys.active(p), {user_id: state["last_ms"]})
            for p, number in applied.items():
                pipe.hincrby(self._keys.meta(p), "applied", number)
            for (p, topic), end in ends.items():
                pipe.hset(self._keys.meta(p), f"off:{topic}", end)
            pipe.execute()

    def _count(self, changes: defaultdict[tuple[str, Grain], Counter[str]], p: int, event: Fields) -> None:
        metric, product = _METRICS[event["event_type"]], event["product_id"]
        for grain in GRAINS:
            start_ms = bucket_start(event["event_time"], grain)
            products = changes[self._keys.product_bucket(p, grain, start_ms), grain]
            shop = changes[self._keys.shop_bucket(p, grain, start_ms), grain]
            products[f"{metric}:{product}"] += 1
            shop[metric] += 1
            if metric is Metric.PURCHASES:
                amount = _amount_minor(event)
                revenue = Metric.REVENUE + event["currency"]
                products[f"{Metric.UNITS}:{product}"] += event.get("quantity", 1)
                shop[Metric.UNITS] += event.get("quantity", 1)
                products[f"{revenue}:{product}"] += amount
                shop[revenue] += amount


def _amount_minor(event: Fields) -> int:
    whole, _, part = event["price"].partition(".")
    return (int(whole) * 100 + int(part)) * int(event.get("quantity", 1))
