"""What the stream keeps of alerts in Redis: the log that readers follow, open alerts, counters."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from contracts.alerts import AlertState
from contracts.keys import Keys
from contracts.predictions import Predictions
from contracts.settings import Settings
from contracts.visitor import unpack_visitor
from models.quality import step_of
from ops.audit.kafka_log import published_alerts

PAGE = 1_000


@dataclass(slots=True)
class RecordedAlerts:
    """Everything there is of alerts. Lists have record id and bytes of each, in order, repeats included.

    `counted` are the stream's own counters, those of alerts that were recorded only among them; `open_ids`
    are of the alerts that are open in a visitor's state and were to be published. `predictions` are of every
    visitor, `counters` sums over the partitions.
    """

    log: list[tuple[str, bytes]] = field(default_factory=list)
    topic: list[tuple[str, bytes]] = field(default_factory=list)
    counted: Counter[tuple[str, AlertState]] = field(default_factory=Counter)
    open_ids: set[str] = field(default_factory=set)
    predictions: dict[str, Predictions] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)


def read_alerts(redis: Redis, settings: Settings) -> RecordedAlerts:
    """What there is of alerts in Redis and in Kafka; `redis` must not decode answers."""
    keys = Keys(settings.namespace, settings.partitions)
    predictions = read_predictions(redis, keys)
    return RecordedAlerts(
        read_log(redis, keys),
        published_alerts(settings),
        read_counts(redis, keys),
        open_in(predictions.values()),
        predictions,
        read_counters(redis, keys),
    )


def read_log(redis: Redis, keys: Keys) -> list[tuple[str, bytes]]:
    """Record id and bytes of every entry in the log of alerts."""
    entries: list[tuple[str, bytes]] = []
    after = "-"
    while True:
        page: Any = redis.xrange(keys.alerts(), min=after, count=PAGE)
        entries += [(fields[b"id"].decode(), fields[b"value"]) for _, fields in page]
        if len(page) < PAGE:
            return entries
        after = f"({page[-1][0].decode()}"


def read_counts(redis: Redis, keys: Keys) -> Counter[tuple[str, AlertState]]:
    """Steps of alerts by the stream's own counters, all days, partitions and model versions together."""
    counts: Counter[tuple[str, AlertState]] = Counter()
    for p in range(keys.partitions):
        for key in redis.scan_iter(match=f"{keys.prefix(p)}q:day:*", count=PAGE):
            fields: dict[Any, Any] = redis.hgetall(key)
            for field_name, count in fields.items():
                step = step_of(field_name.decode().partition(":")[0])
                if step is not None:
                    counts[step] += int(count)
    return counts


def read_predictions(redis: Redis, keys: Keys) -> dict[str, Predictions]:
    """What is expected of every visitor."""
    found: dict[str, Predictions] = {}
    for p in range(keys.partitions):
        prefix = keys.visitor_in(p, "")
        names = list(redis.scan_iter(match=f"{prefix}*", count=PAGE))
        for start in range(0, len(names), PAGE):
            page = names[start : start + PAGE]
            blobs: Any = redis.mget(page)
            for name, blob in zip(page, blobs, strict=True):
                if blob is not None:
                    found[name.decode().removeprefix(prefix)] = unpack_visitor(blob).predictions
    return found


def open_in(predictions: Iterable[Predictions]) -> set[str]:
    """Ids of the alerts that are open and were published when they fired."""
    return {alert.alert_id for each in predictions for alert in each.alert_state.open if alert.live}


def read_counters(redis: Redis, keys: Keys) -> Counter[str]:
    """Visitors the model was asked about (`scored`) and should have been (`skipped`)."""
    counters: Counter[str] = Counter(scored=0, skipped=0)
    for p in range(keys.partitions):
        values: Any = redis.hmget(keys.meta(p), "scored", "skipped")
        counters.update(scored=int(values[0] or 0), skipped=int(values[1] or 0))
    return counters
