"""The atomic commit: what one partition's batch writes, and what Redis says to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from contracts.alerts import Alert, encode_alert
from contracts.dead_letters import DeadLetter, encode_dead_letter
from contracts.keys import GRAIN_MS, TREND_LANDMARK_MS, Grain
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import PackVisitors, pack_visitors
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from stream.batch.step import BatchResult
from stream.components.demand import roll_up

NO_OFFSET = -1
"""Stored offset of a topic nothing was ever applied of."""


class CommitStatus(StrEnum):
    """Redis' answer to a commit. Only after the first two is the batch in Redis."""

    APPLIED = "applied"
    REPEATED = "repeated"
    """These very offsets are stored already: an earlier try arrived although its answer did not."""
    FENCED = "fenced"
    """A newer owner has claimed the partition."""
    BEHIND = "behind"
    """The stored epoch is older than ours: Redis came back with an older state."""
    GAP = "gap"
    """The stored offsets are not those the batch starts from."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a partition's new owner finds; a topic nothing was applied of is not among `offsets`."""

    epoch: int
    offsets: dict[str, int]
    max_event_ms: int
    broker_ms: int
    next_due_ms: int | None
    level: PriceLevel = UNKNOWN_LEVEL
    forgotten: Mapping[str, int] = field(default_factory=dict)
    """Digests of deleted visitors to the ms up to which their events are kept out."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One partition's batch, ready to be written.

    `offsets` has, for every topic of the partition, the stored next offset it starts from and the next offset
    after it; they are equal for a topic without records in the batch.
    """

    partition: int
    epoch: int
    offsets: Mapping[str, tuple[int, int]]
    outcome: BatchResult
    watermark_ms: int
    updated_ms: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Retention:
    """Lifetimes of what a commit writes, in seconds, counted from the last write, and where it publishes."""

    visitor_s: int
    product_s: dict[Grain, int]
    shop_s: dict[Grain, int]
    trend_s: int
    active_ms: int
    alerts: int
    """Steps of alerts kept for readers."""
    topics: Topics

    @classmethod
    def of(cls, settings: Settings) -> "Retention":
        """The lifetimes in the settings."""
        shop: dict[Grain, int] = {
            "minute": settings.minute_ttl_s,
            "hour": settings.hour_ttl_s,
            "day": settings.day_ttl_s,
        }
        product = shop | {"minute": settings.product_minute_ttl_s}
        trend_s = 3 * TREND_LANDMARK_MS // 1_000
        topics = Topics(settings.topic_prefix)
        return cls(
            settings.visitor_ttl_s, product, shop, trend_s, settings.idle_ms, settings.alerts_kept, topics
        )


def encode_commit(commit: Commit, retention: Retention, pack: PackVisitors = pack_visitors) -> dict[str, Any]:
    """The commit as the plain map that `commit.lua` reads: flat lists, ready to be arguments of its calls."""
    outcome = commit.outcome
    moved: dict[str, int | str] = {
        f"off:{topic}": end for topic, (start, end) in commit.offsets.items() if start != end
    }
    meta = moved | {
        "max_event_ms": outcome.clock.max_event_ms,
        "broker_ms": outcome.clock.broker_ms,
        "watermark_ms": commit.watermark_ms,
        "updated_ms": commit.updated_ms,
        "price_mean_log": repr(outcome.level.mean_log),
        "price_weight": repr(outcome.level.weight),
    }
    counters = outcome.counters | ({"lost": commit.lost} if commit.lost else {})
    visitors = outcome.visitors
    timers = outcome.timers.items()
    return {
        "epoch": commit.epoch,
        "topics": [f"off:{topic}" for topic in commit.offsets],
        "starts": [start for start, _ in commit.offsets.values()],
        "ends": [end for _, end in commit.offsets.values()],
        "meta": _flat(meta),
        "counters": _flat(counters),
        "visitor_ttl_s": retention.visitor_s,
        "users": list(visitors),
        "states": pack(visitors.values()),
        "buckets": _encode_buckets(outcome, retention),
        "trend": [
            x
            for landmark_ms, scores in outcome.demand.trend.items()
            for x in (landmark_ms, retention.trend_s, list(scores), list(scores.values()))
        ],
        "active": [x for user, visitor in visitors.items() for x in (visitor.head.last_ms, user)],
        "active_from_ms": max(0, outcome.clock.max_event_ms - retention.active_ms),
        "due": [x for user, due_ms in timers if due_ms for x in (due_ms, user)],
        "not_due": [user for user, due_ms in timers if not due_ms],
        "removed": list(outcome.removed.values()),
        "forgotten": _flat(outcome.forgotten),
        "found": list(outcome.forgotten),
        "currencies": list(outcome.demand.currencies),
        "outbox": [
            *(x for letter in outcome.letters for x in _encode_letter(letter, retention.topics.rejected)),
            *(
                x
                for alert in outcome.prediction_results.alerts
                if alert.live  # the others are counted, but nobody should act on them
                for x in _encode_alert(alert, retention.topics.alerts)
            ),
        ],
    }  # fmt: skip


def _encode_buckets(outcome: BatchResult, retention: Retention) -> list[Any]:
    """Keys with their lifetimes, then fields and what to add to them in each, for every group of buckets.

    A bucket past its lifetime is left alone: written again it would come back with a part of its counts.
    """
    groups: list[Any] = []
    now_ms = outcome.clock.max_event_ms
    kinds = (
        ("d", outcome.demand.products, retention.product_s),
        ("s", outcome.demand.shop, retention.shop_s),
        ("q", outcome.prediction_results.tally.minutes, retention.shop_s),
    )
    for kind, minutes, lifetimes_s in kinds:
        for buckets, fields in roll_up(minutes):
            keys: list[Any] = []
            for grain, start_ms in buckets:
                ttl_s = lifetimes_s[grain]
                if start_ms + GRAIN_MS[grain] + ttl_s * 1_000 > now_ms:
                    keys += (f"{kind}:{grain}:{start_ms}", ttl_s)
            if keys and fields:
                groups += (keys, list(fields), list(fields.values()))
    return groups


def _encode_letter(letter: DeadLetter, topic: str) -> tuple[str, bytes, str, bytes]:
    return topic, letter.key or b"", letter.letter_id, encode_dead_letter(letter)


def _encode_alert(alert: Alert, topic: str) -> tuple[str, bytes, str, bytes]:
    return topic, alert.subject.id.encode(), alert.record_id, encode_alert(alert)


def _flat(mapping: Mapping[str, int | str]) -> list[Any]:
    return [x for item in mapping.items() for x in item]
