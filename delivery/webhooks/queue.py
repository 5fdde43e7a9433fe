"""The queue of each endpoint in Redis, for the process that delivers: lease, cursor, deliveries."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from delivery.webhooks.deliveries import (
    Delivery,
    DeliveryUpdate,
    Health,
    decode_health,
    encode_delivery,
    encode_health,
    readable_delivery,
)
from delivery.webhooks.messages import Message
from delivery.webhooks.scripts import endpoint_keys, run_script
from readers.alerts.log import Cursor, parse_cursor
from readers.reader import Reader


class Claim(NamedTuple):
    """What the holder of a lease knows. `token` fences off who held it before.

    Steps from `replay` to `replay_until` are to be sent again; None: none are. `oldest_ms` says since when
    the oldest delivery waits; None: none does.
    """

    token: int
    cursor: Cursor
    replay: Cursor | None
    replay_until: Cursor | None
    health: Health
    oldest_ms: int | None


class Move(NamedTuple):
    """A cursor's step: from where to where, None being the end of a replay; `missed` were gone before."""

    is_replay: bool
    old: Cursor
    new: Cursor | None
    missed: int = 0


class Fenced(RuntimeError):
    """Another process delivers to the endpoint now."""


class UnreadableCursor(RuntimeError):
    """What is stored is no place in the log of alerts; any other would send alerts again, or lose some."""


class Moved(RuntimeError):
    """Somebody else moved the cursor: read it anew."""


class Queue:
    """The queue of one endpoint. Every method raises `redis.RedisError` if Redis is away."""

    def __init__(self, reader: Reader, endpoint_id: str, holder: str) -> None:
        """`holder` names the process: no two may have the same."""
        self._redis = reader.redis
        self._endpoint_id = endpoint_id
        self._holder = holder
        self._keys = endpoint_keys(reader.keys, endpoint_id)
        self._endpoints = reader.keys.webhook_endpoints()

    async def claim(self, lease_ms: int) -> Claim | None:
        """The lease for this long from now; None while another process has it or the endpoint is gone."""
        keys = [self._keys.lease, self._keys.progress, self._endpoints, self._keys.waiting]
        args = [self._holder, lease_ms, self._endpoint_id]
        reply = await run_script(self._redis, "claim", keys, args)
        if not reply:
            return None
        fence, cursor, replay, until, health = reply[:5]
        return Claim(
            int(fence),
            _cursor(cursor) or Cursor(0, 0),
            _cursor(replay),
            _cursor(until),
            decode_health(health),
            int(float(reply[5])) if len(reply) > 5 and reply[5] is not None else None,
        )

    async def release(self) -> None:
        """Lets another process have it at once."""
        await run_script(self._redis, "release", [self._keys.lease], [self._holder])

    async def enqueue(self, token: int, move: Move, messages: Sequence[Message], now_ms: int) -> int:
        """Moves the cursor and enqueues the messages; how many were. One that is known is enqueued only in a
        replay. Raises `Fenced` or `Moved`, and nothing is done."""
        known = await self.load([message.message_id for message in messages]) if move.is_replay else {}
        args: list[Any] = [
            token,
            "replay" if move.is_replay else "cursor",
            str(move.old),
            "" if move.new is None else str(move.new),
            int(move.is_replay),
            move.missed,
            now_ms,
        ]
        for message in messages:
            found = known.get(message.message_id)
            fresh = Delivery(message.message_id, message.message_type, message.user_id, now_ms)
            delivery = fresh if found is None else found[0].again()
            args += [message.message_id, encode_delivery(delivery), message.body]
        keys = self._keys[1:]
        enqueued = int(await run_script(self._redis, "enqueue", keys, args))
        if enqueued == -1:
            raise Fenced(self._endpoint_id)
        if enqueued == -2:
            raise Moved(self._endpoint_id)
        return enqueued

    async def next_due(self, count: int) -> tuple[list[tuple[str, int]], int]:
        """The `count` deliveries whose attempts come next, each with its time in ms; how many wait."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrange(self._keys.pending, 0, count - 1, withscores=True)
        pipe.zcard(self._keys.pending)
        found, waiting = await pipe.execute()
        return [(one.decode(), int(due)) for one, due in found], waiting

    async def load(self, ids: Sequence[str]) -> dict[str, tuple[Delivery, bytes]]:
        """The deliveries of these ids that are kept, each with its body."""
        if not ids:
            return {}
        pipe = self._redis.pipeline(transaction=True)
        pipe.hmget(self._keys.deliveries, ids)
        pipe.hmget(self._keys.bodies, ids)
        rows = list(zip(ids, *await pipe.execute(), strict=True))
        found = {}
        for one, raw, body in rows:
            delivery = readable_delivery(raw) if raw and body else None
            if delivery is not None:
                found[one] = delivery, body
            elif raw:
                await self._drop(one)
        return found

    async def _drop(self, delivery_id: str) -> None:
        """Take a delivery that cannot be read out of the queue, where it would be due for ever."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.zrem(self._keys.pending, delivery_id)
        pipe.zrem(self._keys.waiting, delivery_id)
        await pipe.execute()

    async def finish(self, token: int, update: DeliveryUpdate, log_kept: int) -> None:
        """Stores what an attempt came to; raises `Fenced`, and nothing is done."""
        args: list[Any] = [
            token,
            update.delivery.delivery_id,
            encode_delivery(update.delivery),
            "" if update.due_ms is None else update.due_ms,
            encode_health(update.health),
            log_kept,
        ]
        if int(await run_script(self._redis, "finish", self._keys[1:], args)) == -1:
            raise Fenced(self._endpoint_id)


def _cursor(raw: bytes | None) -> Cursor | None:
    try:
        return None if raw is None else parse_cursor(raw.decode())
    except ValueError:
        raise UnreadableCursor("the stored position in the log of alerts is invalid") from None
