"""What the stream keeps of alerts in Redis: the log that readers follow, open alerts, counters."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from contracts.alerts import KINDS, AlertKind, AlertState
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.visitor import unpack_visitor
from models.quality import Quality
from ops.audit.kafka_log import published_alerts

PAGE = 1_000
_STATE_OF = {
    Quality.FIRED: AlertState.FIRING,
    Quality.RESOLVED: AlertState.RESOLVED,
    Quality.EXPIRED: AlertState.EXPIRED,
}


@dataclass(slots=True)
class AlertsFound:
    """Everything there is of alerts. Lists have record id and bytes of each, in order, repeats included.

    `counted` are the stream's own counters, those of alerts that were recorded only among them; `open_ids`
    are of the alerts that are open in a visitor's state and were to be published.
    """

    log: list[tuple[str, bytes]] = field(default_factory=list)
    topic: list[tuple[str, bytes]] = field(default_factory=list)
    counted: Counter[tuple[AlertKind, AlertState]] = field(default_factory=Counter)
    open_ids: set[str] = field(default_factory=set)


def read_alerts(redis: Redis, settings: Settings) -> AlertsFound:
    """What there is of alerts in Redis and in Kafka; `redis` must not decode answers."""
    keys = Keys(settings.namespace, settings.partitions)
    return AlertsFound(
        read_log(redis, keys), published_alerts(settings), read_counts(redis, keys), read_open(redis, keys)
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


def read_counts(redis: Redis, keys: Keys) -> Counter[tuple[AlertKind, AlertState]]:
    """Steps of alerts by the stream's own counters, all days, partitions and model versions together."""
    counts: Counter[tuple[AlertKind, AlertState]] = Counter()
    for p in range(keys.partitions):
        for key in redis.scan_iter(match=f"{keys.prefix(p)}q:day:*", count=PAGE):
            fields: dict[Any, Any] = redis.hgetall(key)
            for field_name, count in fields.items():
                name = field_name.decode().partition(":")[0]
                state = _STATE_OF.get(name[:-1])
                if state is not None and name[-1].isdigit():
                    counts[KINDS[int(name[-1])], state] += int(count)
    return counts


def read_open(redis: Redis, keys: Keys) -> set[str]:
    """Ids of the alerts that are open in a visitor's state and were published when they fired."""
    found: set[str] = set()
    for p in range(keys.partitions):
        names = list(redis.scan_iter(match=f"{keys.visitor_in(p, '*')}", count=PAGE))
        for start in range(0, len(names), PAGE):
            blobs: Any = redis.mget(names[start : start + PAGE])
            for blob in blobs:
                if blob is not None:
                    book = unpack_visitor(blob).outlook.book
                    found |= {alert.alert_id for alert in book.open if alert.live}
    return found
