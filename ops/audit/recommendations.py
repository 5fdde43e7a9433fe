"""Published recommendations: what the topic has of each visitor against what Redis has."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from redis import Redis

from contracts.deletions import digest_user
from contracts.key_families import snapshot_key
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.recommendations import RECOMMENDATIONS
from contracts.settings import Settings
from contracts.snapshots import decode_record, decode_snapshot
from contracts.topics import Topics
from ops.audit.kafka_log import published_snapshots

_PAGE = 1_000


class ListView(NamedTuple):
    """The products of a list in their order, and when it was made (epoch ms)."""

    product_ids: tuple[str, ...]
    made_ms: int


def read_published(settings: Settings) -> dict[str, ListView]:
    """The newest list of each visitor in the topic, without those that were taken back."""
    values = published_snapshots(settings, Topics(settings.topic_prefix).recommendations)
    found = {}
    for visitor_id, value in values.items():
        if value:
            _, _, snapshot = decode_record(value)
            ids = tuple(item["product_id"] for item in snapshot.value["items"])
            found[visitor_id] = ListView(ids, snapshot.made_ms)
    return found


def read_lists(redis: Redis, keys: Keys) -> dict[str, ListView]:
    """The newest list of each visitor in Redis; `redis` must not decode answers."""
    found = {}
    for p in range(keys.partitions):
        prefix = keys.prefix(p) + snapshot_key(RECOMMENDATIONS, "")
        names: list[Any] = list(redis.scan_iter(match=f"{prefix}*", count=_PAGE))
        for first in range(0, len(names), _PAGE):
            page = names[first : first + _PAGE]
            blobs: Any = redis.mget(page)
            for name, blob in zip(page, blobs, strict=True):
                if blob is not None:
                    snapshot = decode_snapshot(blob)
                    ids = tuple(item[0] for item in snapshot.value["items"])
                    found[name.decode().removeprefix(prefix)] = ListView(ids, snapshot.made_ms)
    return found


def waiting_lists(redis: Redis, keys: Keys) -> int:
    """Visitors in the queues."""
    return sum(int(redis.zcard(keys.job_queue(p, RECOMMENDATIONS))) for p in range(keys.partitions))


def recommendation_differences(settings: Settings, redis: Redis, keys: Keys, *, limit: int = 20) -> list[str]:
    """Every difference in words, at most `limit` of them, once nobody waits and the outboxes are empty.

    What the topic has must be what Redis has, and nothing of anybody from before their deletion.
    """
    published, lists = read_published(settings), read_lists(redis, keys)
    lines = [
        f"recommendations of {visitor}: {in_redis} in Redis, {in_topic} in the topic"
        for visitor in sorted(published.keys() | lists.keys())
        if (in_redis := _say(lists, visitor)) != (in_topic := _say(published, visitor))
    ]
    lines += [
        f"recommendations of {visitor}, who was deleted, are in the topic"
        for visitor, view in sorted(published.items())
        if view.made_ms <= _cut_ms(settings, redis, keys, visitor)
    ]
    more = len(lines) - limit
    return [*lines[:limit], *([f"... and recommendations of {more} more visitors"] if more > 0 else [])]


def _say(lists: Mapping[str, ListView], visitor: str) -> str:
    return ",".join(lists[visitor].product_ids) if visitor in lists else "none"


def _cut_ms(settings: Settings, redis: Redis, keys: Keys, visitor: str) -> int:
    """Up to when a visitor's events are kept out (epoch ms); -1 for one who was not deleted."""
    digest = digest_user(visitor, settings.deletion_secret.get_secret_value())
    cut: Any = redis.hget(keys.forgotten(partition_of(visitor, keys.partitions)), digest)
    return -1 if cut is None else int(cut)
