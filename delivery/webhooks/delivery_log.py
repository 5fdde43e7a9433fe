"""What the API asks of and does to an endpoint's deliveries: the log, resending, replaying, forgetting."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from contracts.clock import wall_clock_ms
from delivery.webhooks.deliveries import (
    Delivery,
    DeliveryStatus,
    Health,
    decode_health,
    encode_delivery,
    readable_delivery,
)
from delivery.webhooks.errors import QueueFull, UnknownDelivery, UnknownEndpoint
from delivery.webhooks.scripts import endpoint_keys, run_script
from readers.alerts.log import START, Cursor, parse_cursor
from readers.reader import Reader
from readers.unreadable import UNREADABLE

_RETRIES = 5


class Logged(NamedTuple):
    """A delivery with its number in the log; `due_ms` is its next attempt, None if it waits for none."""

    number: int
    delivery: Delivery
    due_ms: int | None


class EndpointStatus(NamedTuple):
    """How it stands with an endpoint. At least `missed` steps left the log of alerts unread.

    `delivering` says that a process has its lease, `has_deliverer` that one runs which may take it.
    """

    pending: int
    oldest_ms: int | None
    missed: int
    missed_ms: int | None
    health: Health
    cursor: Cursor
    replaying: bool
    delivering: bool
    has_deliverer: bool


class DeliveryLog:
    """The deliveries of one endpoint. Every method raises `redis.RedisError` if Redis is away."""

    def __init__(self, reader: Reader, endpoint_id: str) -> None:
        self._redis = reader.redis
        self._settings = reader.settings
        self._endpoint_id = endpoint_id
        self._keys = endpoint_keys(reader.keys, endpoint_id)
        self._endpoints = reader.keys.webhook_endpoints()
        self._deliverer = reader.keys.webhook_deliverer()

    async def read(self, before: int | None, limit: int) -> tuple[list[Logged], int | None]:
        """At most `limit` deliveries with a number under `before`, newest first, and where to go on."""
        top = "+inf" if before is None else f"({before}"
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrevrangebyscore(self._keys.log, top, "-inf", start=0, num=limit + 1, withscores=True)
        (found,) = await pipe.execute()
        rows = [(one.decode(), int(number)) for one, number in found[:limit]]
        logged = await self._load(rows)
        return logged, rows[-1][1] if len(found) > limit else None

    async def find(self, delivery_id: str) -> Logged:
        """The delivery; raises `UnknownDelivery`."""
        number: float | None = await self._redis.zscore(self._keys.log, delivery_id)
        logged = [] if number is None else await self._load([(delivery_id, int(number))])
        if not logged:
            raise UnknownDelivery
        return logged[0]

    async def resend(self, delivery_id: str) -> Logged:
        """Sends it again, from the start of the schedule; raises `UnknownDelivery`, or `QueueFull`."""
        keys = [self._keys.pending, self._keys.waiting, self._keys.deliveries, self._keys.log]
        most = self._settings.webhook_pending_max
        for _ in range(_RETRIES):
            raw: Any = await self._redis.hget(self._keys.deliveries, delivery_id)
            if raw is None:
                raise UnknownDelivery
            delivery = readable_delivery(raw)
            if delivery is None:
                raise UnknownDelivery
            again = encode_delivery(delivery.again())
            args = [delivery_id, raw, again, wall_clock_ms(), most]
            done = int(await run_script(self._redis, "resend", [*keys, self._keys.finished], args))
            if done == -2:
                raise QueueFull(most)
            if done == 1:
                break
        return await self.find(delivery_id)

    async def replay(self, since_ms: int) -> bool:
        """Sends again what was published from `since_ms` on; False: nothing was. Raises `UnknownEndpoint`."""
        # Behind the last possible entry of the millisecond before.
        place = [max(since_ms - 1, 0), 2**53]
        keys = [self._keys.progress, self._endpoints]
        done = int(await run_script(self._redis, "replay", keys, [self._endpoint_id, *place]))
        if done < 0:
            raise UnknownEndpoint
        return done == 1

    async def record(self, delivery: Delivery, body: bytes) -> None:
        """Logs a delivery that was made at once; raises `UnknownEndpoint`."""
        progress, *_, deliveries, bodies, log, finished = self._keys[1:]
        keys = [progress, deliveries, bodies, log, finished, self._endpoints]
        kept = self._settings.webhook_log_kept
        args = [delivery.delivery_id, encode_delivery(delivery), body, kept, self._endpoint_id]
        if not int(await run_script(self._redis, "record", keys, args)):
            raise UnknownEndpoint

    async def status(self) -> EndpointStatus:
        """How it stands with the endpoint now."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(self._keys.progress, "cursor", "missed", "missed_ms", "health", "replay")
        pipe.zcard(self._keys.pending)
        pipe.zrange(self._keys.waiting, 0, 0, withscores=True)
        pipe.exists(self._keys.lease)
        pipe.exists(self._deliverer)
        (cursor, missed, missed_ms, health, replay), pending, oldest, leased, present = await pipe.execute()
        return EndpointStatus(
            pending=pending,
            oldest_ms=int(oldest[0][1]) if oldest else None,
            missed=_number(missed) or 0,
            missed_ms=_number(missed_ms),
            health=decode_health(health),
            cursor=_shown_cursor(cursor),
            replaying=replay is not None,
            delivering=bool(leased),
            has_deliverer=bool(leased or present),
        )

    async def forget(self, user_id: str) -> int:
        """Removes every delivery that speaks of this visitor; how many there were."""
        found: Any = await self._redis.hgetall(self._keys.deliveries)
        ids = [one for one, raw in found.items() if _speaks_of(raw, user_id)]
        if ids:
            await run_script(self._redis, "forget", self._keys[2:], ids)
        return len(ids)

    async def _load(self, rows: Sequence[tuple[str, int]]) -> list[Logged]:
        """The deliveries of these ids and numbers that are still kept."""
        if not rows:
            return []
        ids = [one for one, _ in rows]
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(self._keys.deliveries, ids)
        pipe.zmscore(self._keys.pending, ids)
        raws, dues = await pipe.execute()
        return [
            Logged(number, _said(delivery, due), None if due is None else int(due))
            for (_, number), raw, due in zip(rows, raws, dues, strict=True)
            if raw is not None and (delivery := readable_delivery(raw)) is not None
        ]


def _speaks_of(raw: bytes, user_id: str) -> bool:
    delivery = readable_delivery(raw)
    return user_id.encode() in raw if delivery is None else delivery.user_id == user_id


def _shown_cursor(raw: bytes | None) -> Cursor:
    try:
        return parse_cursor((raw or b"0-0").decode())
    except ValueError as exc:  # the deliverer waits with it; whoever looks sees the rest
        UNREADABLE.note("the cursor of a webhook endpoint", exc)
        return START


def _number(raw: bytes | None) -> int | None:
    return int(raw) if raw is not None and raw.isdigit() else None


def _said(delivery: Delivery, due: float | None) -> Delivery:
    """The delivery with its status: whatever was left pending outside the queue was skipped."""
    if due is not None:
        return replace(delivery, status=DeliveryStatus.PENDING)
    if delivery.status is DeliveryStatus.PENDING:
        return replace(delivery, status=DeliveryStatus.SKIPPED)
    return delivery
