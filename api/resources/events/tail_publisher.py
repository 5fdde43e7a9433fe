"""What becomes of events, told to whoever watches; nothing is done while nobody does."""

import asyncio
import logging
import time
from collections import deque
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.http.errors import Problem
from api.resources.events.validation import ValidatedEvents
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from readers.intervals import to_datetime

_log = logging.getLogger(__name__)

EVERYTHING = "*"
"""Watches the events of all keys."""
CHECK_S = 1.0
"""A process asks Redis so often at most whether somebody watches, and only while events come."""
TICK_S = 0.25
MAX_SHOWN = 20
"""Events and refusals shown of one request."""
_MAX_REQUESTS = 50
_MAX_EVENTS = 500
"""Of one tick; the rest is only counted."""
_MAX_SHOWN_BYTES = 4_096
_BACK_OFF_S = 5.0


class Notice(NamedTuple):
    """What became of one request: its events, validated, or the problem that it ended with."""

    received_ms: int
    request_id: str
    key_id: str
    dry_run: bool
    validated: ValidatedEvents | None
    problem: Problem | None
    source: str = ""


class TailPublisher:
    """Publishes notices in Redis, coalesced and bounded, in a task that ends when there are no more."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._watched: frozenset[str] = frozenset()
        self._checked_s = float("-inf")
        self._queue: deque[Notice] = deque()
        self._n_events = 0
        self._n_skipped = 0
        self._task: asyncio.Task[None] | None = None

    def offer(self, notice: Notice) -> None:
        """Takes a notice if somebody watches, or might: it costs the request nothing more."""
        if time.monotonic() - self._checked_s < CHECK_S and not self._is_watched(notice.key_id):
            return
        n_events = 0 if notice.validated is None else len(notice.validated.records)
        if len(self._queue) >= _MAX_REQUESTS or self._n_events + n_events > _MAX_EVENTS + MAX_SHOWN:
            self._n_skipped += 1
            return
        self._queue.append(notice)
        self._n_events += min(n_events, MAX_SHOWN)
        if self._task is None:
            self._task = asyncio.create_task(self._drain())

    async def close(self) -> None:
        """Drops what is not told yet."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _is_watched(self, key_id: str) -> bool:
        return bool(self._watched) and (key_id in self._watched or EVERYTHING in self._watched)

    async def _drain(self) -> None:
        try:
            while self._queue:
                if time.monotonic() - self._checked_s >= CHECK_S:
                    await self._check()
                notices, n_skipped = [*self._queue], self._n_skipped
                self._queue.clear()
                self._n_events = self._n_skipped = 0
                if self._watched:
                    await self._publish(notices, n_skipped)
                    await asyncio.sleep(TICK_S)
        except RedisError as exc:
            _log.warning("tails of events are not served because Redis does not answer: %s", exc)
            self._watched = frozenset()
            self._checked_s = time.monotonic() + _BACK_OFF_S - CHECK_S
            self._queue.clear()
            self._n_events = self._n_skipped = 0
        finally:
            self._task = None

    async def _check(self) -> None:
        found: Any = await self._redis.zrangebyscore(self._keys.tail_watchers(), wall_clock_ms(), "+inf")
        self._watched = frozenset(member.decode() for member in found)
        self._checked_s = time.monotonic()

    async def _publish(self, notices: list[Notice], n_skipped: int) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for watched in self._watched:
            shown = [show(n) for n in notices if watched in (EVERYTHING, n.key_id)]
            if shown or n_skipped:
                pipe.publish(
                    self._keys.tail(watched), orjson.dumps({"requests": shown, "skipped": n_skipped})
                )
        await pipe.execute()


def show(notice: Notice) -> dict[str, Any]:
    """One request as a watcher is told of it, in the members of its receipt."""
    validated, problem = notice.validated or ValidatedEvents(), notice.problem
    values = [record.value for record in validated.records[:MAX_SHOWN]]
    return {
        "received_at": to_datetime(notice.received_ms),
        "request_id": notice.request_id,
        "key_id": notice.key_id,
        "source": notice.source or None,
        "dry_run": notice.dry_run,
        "accepted": validated.accepted,
        "duplicates": validated.duplicates,
        "rejected": len(validated.refusals),
        "dropped": validated.dropped,
        "problem": None if problem is None else {"code": problem.code, "detail": problem.detail},
        "events": [orjson.Fragment(value) for value in values if len(value) <= _MAX_SHOWN_BYTES],
        "errors": [refusal.model_dump() for refusal in validated.refusals[:MAX_SHOWN]],
    }
