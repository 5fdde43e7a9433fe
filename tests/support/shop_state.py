"""Writes state as the contracts lay it out, so that the API can be tested without a stream."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, cast

from redis import Redis

from contracts.alerts import Alert, encode_alert
from contracts.buckets import GRAIN_MS, Metric, bucket_start
from contracts.clock import wall_clock_ms
from contracts.customers import Customer, pack_customer
from contracts.events import Event, EventType, Statement
from contracts.heartbeat import Heartbeat
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.seen_products import SeenProduct, pack_seen
from contracts.sessions import StoredSession, pack_session, session_field
from contracts.settings import Settings
from contracts.visitor import Visitor, pack_visitor
from models.trending import ACTION_WEIGHTS, contribution, landmark_of

_PUBLISH = files("stream.state").joinpath("publish_alerts.lua").read_text()

METRIC_OF_TYPE: dict[EventType | Statement, str] = {
    EventType.VIEW: Metric.VIEWS,
    EventType.FAVORITE: Metric.FAVORITES,
    EventType.CART: Metric.CARTS,
    EventType.REMOVE_FROM_CART: Metric.REMOVES,
    EventType.PURCHASE: Metric.PURCHASES,
}


class ShopState:
    """State of one installation; nothing is sent before `flush`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = Keys(settings.namespace, settings.partitions)
        self._redis = Redis.from_url(settings.redis_url)
        self._pipe = self._redis.pipeline(transaction=False)
        self._newest: dict[int, int] = {}

    def add_events(self, events: Iterable[Event], *, broker_ms: int | None = None) -> None:
        """Counts events in buckets, trends and metas; `broker_ms` is the event's own time if None."""
        for event in events:
            p = partition_of(event.user_id, self.settings.partitions)
            self._count(p, event)
            landmark_ms = landmark_of(event.event_time_ms)
            half_life_ms = self.settings.trend_half_life_s * 1_000
            weight = ACTION_WEIGHTS[cast(EventType, event.event_type)]
            score = contribution(event.event_time_ms, weight, landmark_ms, half_life_ms)
            self._pipe.zincrby(self.keys.trend(p, landmark_ms), score, event.product_id)
            self._pipe.zadd(self.keys.active(p), {event.user_id: event.event_time_ms}, gt=True)
            self._pipe.hincrby(self.keys.meta(p), "applied", 1)
            newest_ms = self._newest[p] = max(self._newest.get(p, 0), event.event_time_ms)
            self.set_meta(p, max_event_ms=newest_ms, broker_ms=newest_ms if broker_ms is None else broker_ms)

    def add_shop(self, p: int, at_ms: int, counts: Mapping[str, int]) -> None:
        """Adds to the shop's buckets of every grain that hold `at_ms`."""
        for grain in GRAIN_MS:
            for field, count in counts.items():
                self._pipe.hincrby(self.keys.shop_bucket(p, grain, bucket_start(at_ms, grain)), field, count)
                if field.startswith(Metric.REVENUE):
                    self._pipe.sadd(self.keys.currencies(p), field.removeprefix(Metric.REVENUE))

    def add_quality(self, p: int, at_ms: int, counts: Mapping[str, int]) -> None:
        """Adds to the counters of predictions and alerts in every grain that hold `at_ms`."""
        for grain in GRAIN_MS:
            for field, count in counts.items():
                bucket = self.keys.quality_bucket(p, grain, bucket_start(at_ms, grain))
                self._pipe.hincrby(bucket, field, count)

    def add_exposures(self, p: int, at_ms: int, counts: Mapping[str, int]) -> None:
        """Adds to the counters of recommendations in the day that holds `at_ms`."""
        bucket = self.keys.exposure_bucket(p, "day", bucket_start(at_ms, "day"))
        for field, count in counts.items():
            self._pipe.hincrby(bucket, field, count)

    def learn(self, p: int, slot: str, blob: bytes) -> None:
        """Stores what a partition has learnt for a model slot."""
        self._pipe.set(self.keys.learned(p, slot), blob)

    def count_item(self, p: int, name: str, text: str) -> None:
        """Stores what a partition has counted of an item (`contracts.key_families.ITEM_COUNTS`)."""
        self._pipe.hset(self.keys.item_counts(p), name, text)

    def set_meta(self, p: int, **fields: int) -> None:
        """Sets fields of a partition's meta hash."""
        self._pipe.hset(self.keys.meta(p), mapping={name: str(value) for name, value in fields.items()})

    def put_visitor(self, user_id: str, visitor: Visitor) -> None:
        """Stores a visitor's blob."""
        self._pipe.set(self.keys.visitor(user_id), pack_visitor(visitor))

    def put_customer(self, customer_id: str, customer: Customer | bytes) -> None:
        """Stores a customer's blob, or whatever bytes in its place."""
        blob = customer if isinstance(customer, bytes) else pack_customer(customer)
        self._pipe.set(self.keys.customer(customer_id), blob)

    def put_session(self, user_id: str, number: int, session: StoredSession, changed_ms: int) -> None:
        """Stores a visitor's session of this number, as a worker does with a commit at that time."""
        p = partition_of(user_id, self.settings.partitions)
        self._pipe.hset(self.keys.sessions_in(p, user_id), session_field(number), pack_session(session))
        self._pipe.zadd(self.keys.sessions_changed(p), {user_id: changed_ms}, gt=True)

    def forget_sessions(self, user_id: str, *, digest: str) -> None:
        """Removes a visitor's sessions, as a worker does with a deletion."""
        p = partition_of(user_id, self.settings.partitions)
        self._pipe.delete(self.keys.sessions_in(p, user_id))
        self._pipe.zrem(self.keys.sessions_changed(p), user_id)
        self._pipe.hset(self.keys.forgotten(p), digest, "1")

    def see_product(self, p: int, product_id: str, seen: SeenProduct) -> None:
        """Stores what events of a partition showed of a product."""
        self._pipe.hset(self.keys.seen_products(p), product_id, pack_seen(seen))

    def publish_alerts(self, alerts: Iterable[Alert]) -> None:
        """Appends steps to the log of alerts, as the relay does."""
        self._publish(self.settings.alerts_kept, alerts)

    def trim_alerts(self, kept: int) -> None:
        """Keeps only the newest steps, as the relay does when there are too many."""
        self._publish(kept, ())

    def forget_alerts(self) -> None:
        """Removes the log, as a Redis that lost its data does."""
        self._pipe.delete(self.keys.alerts(), self.keys.alert_places(), self.keys.alert_pages())

    def beat(
        self,
        worker_id: str = "w1",
        *,
        partitions: Iterable[int] | None = None,
        at_ms: int | None = None,
        events_per_s: float = 50.0,
        **scoring: Any,
    ) -> None:
        """Writes one worker's heartbeat, by default just now and owning everything."""
        at_ms = wall_clock_ms() if at_ms is None else at_ms
        owned = tuple(range(self.settings.partitions) if partitions is None else partitions)
        heartbeat = Heartbeat(
            worker_id, at_ms, 4242, events_per_s, 12.0, 48.5, 90_000_000, owned, 9000, **scoring
        )
        self._pipe.hset(self.keys.worker(worker_id), mapping=dict[Any, Any](heartbeat.to_hash()))
        self._pipe.zadd(self.keys.workers(), {worker_id: at_ms})

    def beat_badly(self, worker_id: str) -> None:
        """Writes a heartbeat this version does not understand."""
        self._pipe.hset(self.keys.worker(worker_id), mapping={"version": "99"})
        self._pipe.zadd(self.keys.workers(), {worker_id: wall_clock_ms()})

    def flush(self) -> None:
        """Sends everything to Redis."""
        self._pipe.execute()

    def close(self) -> None:
        """Removes the installation's keys and the connection."""
        keys = list(self._redis.scan_iter(match=f"{self.settings.namespace}:*", count=1_000))
        if keys:
            self._redis.unlink(*keys)
        self._redis.close()

    def _publish(self, kept: int, alerts: Iterable[Alert]) -> None:
        keys = (self.keys.alerts(), self.keys.alert_places(), self.keys.alert_pages())
        fields = [field for alert in alerts for field in (alert.record_id, encode_alert(alert))]
        self._pipe.hset(self.keys.alert_pages(), "0", "read")
        self._pipe.eval(_PUBLISH, len(keys), *keys, kept, 0, "read", *fields)

    def _count(self, p: int, event: Event) -> None:
        counts = {METRIC_OF_TYPE[event.event_type]: 1}
        if event.event_type is EventType.PURCHASE:
            counts[Metric.UNITS] = event.quantity
            if event.price_minor is not None and event.currency is not None:
                counts[Metric.REVENUE + event.currency] = event.price_minor * event.quantity
        self.add_shop(p, event.event_time_ms, counts)
        for grain in GRAIN_MS:
            bucket = self.keys.product_bucket(p, grain, bucket_start(event.event_time_ms, grain))
            for metric, count in counts.items():
                self._pipe.hincrby(bucket, f"{metric}:{event.product_id}", count)


def make_event(
    event_type: EventType,
    at_ms: int,
    *,
    user_id: str = "u1",
    product_id: str = "p1",
    price_minor: int | None = None,
    currency: str | None = None,
    quantity: int = 1,
) -> Event:
    """One event with an id of its own place and time."""
    return Event(
        event_id=f"{user_id}-{product_id}-{event_type}-{at_ms}",
        event_type=event_type,
        event_time_ms=at_ms,
        user_id=user_id,
        product_id=product_id,
        price_minor=price_minor,
        currency=currency,
        quantity=quantity,
    )
