"""The atomic commit: what one partition's batch writes, and what Redis says to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts.dead_letters import DeadLetter, encode_dead_letter
from contracts.keys import GRAIN_MS, TREND_LANDMARK_MS, Grain
from contracts.settings import Settings
from contracts.visitor import pack_visitor
from stream.batch import Outcome
from stream.demand import roll_up

NO_OFFSET = -1
"""Stored offset of a topic nothing was ever applied of."""


class Verdict(StrEnum):
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
    """What a partition's new owner finds: its epoch, next offsets per topic (`NO_OFFSET`: none) and clock."""

    epoch: int
    offsets: dict[str, int]
    max_event_ms: int
    broker_ms: int
    next_due_ms: int | None


@dataclass(frozen=True, slots=True)
class Commit:
    """One partition's batch, ready to be written.

    `offsets` has, for every topic of the partition, the stored next offset it starts from and the next offset
    after it; they are equal for a topic without records in the batch.
    """

    partition: int
    epoch: int
    offsets: Mapping[str, tuple[int, int]]
    outcome: Outcome
    watermark_ms: int
    updated_ms: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Retention:
    """Lifetimes of what a commit writes, in seconds, counted from the last write."""

    visitor_s: int
    product_s: dict[Grain, int]
    shop_s: dict[Grain, int]
    trend_s: int
    active_ms: int
    rejected_topic: str

    @classmethod
    def of(cls, settings: Settings, rejected_topic: str) -> "Retention":
        """The lifetimes in the settings."""
        shop: dict[Grain, int] = {
            "minute": settings.minute_ttl_s,
            "hour": settings.hour_ttl_s,
            "day": settings.day_ttl_s,
        }
        product = shop | {"minute": settings.product_minute_ttl_s}
        trend_s = 3 * TREND_LANDMARK_MS // 1_000
        return cls(settings.visitor_ttl_s, product, shop, trend_s, settings.idle_ms, rejected_topic)


def encode_commit(commit: Commit, retention: Retention) -> dict[str, Any]:
    """The commit as the plain map that `commit.lua` reads: flat lists, in the order of its loops."""
    outcome = commit.outcome
    counters = dict(outcome.counters)
    if commit.lost:
        counters["lost"] = commit.lost
    return {
        "epoch": commit.epoch,
        "offsets": [x for topic, (start, end) in commit.offsets.items() for x in (topic, start, end)],
        "meta": [
            "max_event_ms", outcome.clock.max_event_ms, "broker_ms", outcome.clock.broker_ms,
            "watermark_ms", commit.watermark_ms, "updated_ms", commit.updated_ms,
        ],
        "counters": [x for item in counters.items() for x in item],
        "visitor_ttl_s": retention.visitor_s,
        "visitors": [x for user, visitor in outcome.visitors.items() for x in (user, pack_visitor(visitor))],
        "buckets": _encode_buckets(outcome, retention),
        "trend": [
            x
            for landmark_ms, scores in outcome.demand.trend.items()
            for x in (landmark_ms, retention.trend_s, _flat(scores))
        ],
        "active": [x for user, visitor in outcome.visitors.items() for x in (user, visitor.head.last_ms)],
        "active_from_ms": max(0, outcome.clock.max_event_ms - retention.active_ms),
        "timers": [x for item in outcome.timers.items() for x in item],
        "currencies": list(outcome.demand.currencies),
        "outbox": [
            x
            for letter in outcome.letters
            for x in _encode_letter(letter, retention.rejected_topic)
        ],
    }  # fmt: skip


def _encode_buckets(outcome: Outcome, retention: Retention) -> list[Any]:
    """Keys with their lifetimes, and the fields to add to each of these, for every group of buckets.

    A bucket past its lifetime is left alone: written again it would come back with a part of its counts.
    """
    groups: list[Any] = []
    now_ms = outcome.clock.max_event_ms
    kinds = (
        ("d", outcome.demand.products, retention.product_s),
        ("s", outcome.demand.shop, retention.shop_s),
    )
    for kind, minutes, lifetimes_s in kinds:
        for buckets, fields in roll_up(minutes):
            keys: list[Any] = []
            for grain, start_ms in buckets:
                ttl_s = lifetimes_s[grain]
                if start_ms + GRAIN_MS[grain] + ttl_s * 1_000 > now_ms:
                    keys += (f"{kind}:{grain}:{start_ms}", ttl_s)
            if keys and fields:
                groups += (keys, _flat(fields))
    return groups


def _encode_letter(letter: DeadLetter, topic: str) -> tuple[str, bytes, str, bytes]:
    return topic, letter.key or b"", letter.letter_id, encode_dead_letter(letter)


def _flat(mapping: Mapping[str, float]) -> list[Any]:
    return [x for item in mapping.items() for x in item]
