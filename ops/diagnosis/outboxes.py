"""The doctor's look at the outboxes: what waits there has reached nobody."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from redis import Redis
from redis.exceptions import ResponseError

from contracts.keys import Keys
from ops.diagnosis.checks import Check, Level

MAX_WAIT_MS = 60_000
"""Published within milliseconds; what is older waits for something."""


class Waiting(NamedTuple):
    """What one outbox holds: how many things, and the age of the oldest."""

    size: int
    oldest_ms: int


def check_outboxes(found: Mapping[int, Waiting]) -> Check:
    """Do alerts, dead letters and records for other partitions reach Kafka?"""
    stuck = {p: waiting for p, waiting in found.items() if waiting.oldest_ms > MAX_WAIT_MS}
    if not stuck:
        return Check("outboxes", Level.OK, "nothing waits for long")
    size = sum(waiting.size for waiting in stuck.values())
    oldest_s = max(waiting.oldest_ms for waiting in stuck.values()) / 1_000
    numbers = ", ".join(str(p) for p in sorted(stuck))
    advice = (
        "they are published once a worker has the partition (see `storepulse status`) and Kafka takes its "
        "records; the worker's log says what Kafka refuses ('not published, retrying')"
    )
    return Check(
        "outboxes",
        Level.FAIL,
        f"{size:,} alerts and other records wait in partitions {numbers}, the oldest for {oldest_s:,.0f} s",
        advice,
    )


def read_outboxes(client: Redis, keys: Keys) -> dict[int, Waiting]:
    """The outboxes that hold anything; one that is no stream is left out, as workers name it in their log."""
    seconds, micros = client.time()
    now_ms = seconds * 1_000 + micros // 1_000
    pipe = client.pipeline(transaction=False)
    for p in range(keys.partitions):
        pipe.xlen(keys.outbox(p))
        pipe.xrange(keys.outbox(p), count=1)
    answers: list[Any] = pipe.execute(raise_on_error=False)
    found = {}
    for p, (size, oldest) in enumerate(zip(answers[::2], answers[1::2], strict=True)):
        if oldest and not isinstance(oldest, ResponseError):
            entry_ms = int(str(oldest[0][0]).partition("-")[0])  # Redis numbers entries by its clock
            found[p] = Waiting(size, max(0, now_ms - entry_ms))
    return found
