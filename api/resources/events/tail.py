"""The live tail of events: what one client is sent, over all processes of the API."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.types import Receive, Scope, Send

from api.http.connection_limiter import ConnectionLimiter
from api.http.event_stream import EventStreamResponse
from api.http.metrics import ApiMetrics
from api.resources.events.tail_publisher import CHECK_S
from contracts.clock import wall_clock_ms
from contracts.keys import Keys

_log = logging.getLogger(__name__)

WATCH_S = 10.0
"""A process goes on publishing for so long after the last client has left."""
_RENEW_S = 3.0
_POLL_S = 0.5
_READY_AFTER_S = CHECK_S + 0.2
"""By then every process has noticed, or would with its next event."""


class TailSubscription(NamedTuple):
    """Whose events a client watches, for how long, and whether its key still counts."""

    watched: str
    max_age_s: float
    is_welcome: Callable[[], Awaitable[bool]]


class EventTailResponse(EventStreamResponse):
    """A stream that needs a connection to Redis of its own, so there are few."""

    def __init__(
        self,
        events: AsyncIterator[bytes],
        key_id: str,
        limiter: ConnectionLimiter,
        metrics: ApiMetrics,
        send_timeout_s: float,
        tail_limiter: ConnectionLimiter,
    ) -> None:
        super().__init__(events, key_id, limiter, metrics, send_timeout_s)
        self._tail_key_id = key_id
        self._tail_limiter = tail_limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until client, process or watch end; raises `Problem` 429 or 503."""
        with self._tail_limiter.hold(self._tail_key_id):
            await super().__call__(scope, receive, send)


async def follow(
    redis: Redis, keys: Keys, watch: TailSubscription, closing: asyncio.Event
) -> AsyncIterator[bytes]:
    """Blocks of server-sent events: `ready` when nothing is missed any more, then what comes.

    They come coalesced, so a client is written to a few times a second. Without Redis the stream ends.
    """
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    renewed_s = float("-inf")
    ready = False
    async with redis.pubsub() as pubsub:
        try:
            await pubsub.subscribe(keys.tail(watch.watched))
            while not closing.is_set() and loop.time() - begun_s < watch.max_age_s:
                if loop.time() - renewed_s >= _RENEW_S:
                    if not await watch.is_welcome():
                        return
                    await announce(redis, keys, watch.watched)
                    renewed_s = loop.time()
                if not ready and loop.time() - begun_s >= _READY_AFTER_S:
                    ready = True
                    yield b"event: ready\ndata: {}\n\n"
                message: Any = await pubsub.get_message(ignore_subscribe_messages=True, timeout=_POLL_S)
                if message is not None:
                    yield write_blocks(message["data"])
        except RedisError as exc:
            _log.warning("a tail of events ends because Redis does not answer: %s", exc)


async def announce(redis: Redis, keys: Keys, watched: str) -> None:
    """Says that somebody watches, for `WATCH_S` from now on."""
    now_ms, lasts_ms = wall_clock_ms(), int(WATCH_S * 1_000)
    pipe = redis.pipeline(transaction=False)
    pipe.zremrangebyscore(keys.tail_watchers(), "-inf", now_ms)
    pipe.zadd(keys.tail_watchers(), {watched: now_ms + lasts_ms})
    pipe.pexpire(keys.tail_watchers(), lasts_ms)
    await pipe.execute()


def write_blocks(payload: bytes) -> bytes:
    """What the feed published, as events: `request` each, and `skipped` where some were too many."""
    content = orjson.loads(payload)
    blocks = [b"event: request\ndata: %s\n\n" % orjson.dumps(each) for each in content["requests"]]
    if content["skipped"]:
        blocks.append(b'event: skipped\ndata: {"requests": %d}\n\n' % content["skipped"])
    return b"".join(blocks)
