"""The worker of an endpoint: the one task that delivers to it, so that no endpoint waits for another."""

import asyncio
import logging
import time

from redis.exceptions import RedisError

from contracts.clock import wall_clock_ms
from delivery.webhooks.deliveries import Attempt, Delivery, DeliveryUpdate, Health, Result, apply_attempt
from delivery.webhooks.endpoints import Endpoint, EndpointState
from delivery.webhooks.messages import Message
from delivery.webhooks.queue import Claim, Fenced, Move, Moved, Queue, UnreadableCursor
from delivery.webhooks.quiet_hours import QuietHours
from delivery.webhooks.unread_alerts import MissedAlerts, read_page
from delivery.webhooks.worker_context import WorkerContext
from readers.alerts.log import Cursor
from readers.unreadable import UNREADABLE

_log = logging.getLogger(__name__)

_TROUBLE_S = 10.0
_PAGES = 8
"""Most pages of the log in one round: attempts that are due must not wait for a long backlog."""


class EndpointWorker:
    """Delivers to one endpoint while it holds its lease."""

    def __init__(self, endpoint: Endpoint, context: WorkerContext) -> None:
        self.endpoint = endpoint
        self.claim: Claim | None = None
        """What we hold; None while another process delivers."""
        self._context = context
        self._queue = Queue(context.reader, endpoint.endpoint_id, context.holder)
        self._health = Health()
        self._missed_alerts = MissedAlerts()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._ended: set[str] = set()
        self._woken = asyncio.Event()
        self._news = True
        self._full = False
        self._held_until_s = 0.0
        self._claim_at_s = 0.0
        self._stopping = False

    def replace(self, endpoint: Endpoint) -> None:
        """The endpoint was changed: by now, what it wants and how it answered must be read anew."""
        self.endpoint = endpoint
        self._missed_alerts.forget()
        self._claim_at_s = 0.0
        self.wake()

    def abandon(self) -> None:
        """The endpoint is gone: nothing of it may be finished."""
        self._stopping = True
        self.wake()
        for task in self._under_way.values():
            task.cancel()

    def wake(self) -> None:
        """There may be something new in the log."""
        self._news = True
        self._woken.set()

    async def run(self) -> None:
        """Works until `stop` or `abandon`; while Redis is away it waits."""
        # Not by being cancelled: `wait_for` of Python 3.11, which the Redis client uses, may swallow that.
        while not self._stopping:
            self._woken.clear()
            try:
                wait_s = await self._step()
            except RedisError as exc:
                self._context.redis.failed(exc)
                wait_s = self._context.policy.renew_s
            except Fenced:
                self._lose()
                wait_s = self._context.policy.renew_s
            except UnreadableCursor as exc:
                UNREADABLE.note(f"the progress of webhook endpoint {self.endpoint.endpoint_id}", str(exc))
                wait_s = _TROUBLE_S
            except Moved:
                self._claim_at_s = wait_s = 0.0
            except Exception:  # the boundary: what is wrong with one endpoint must not stop the others
                _log.exception(
                    "unexpected error, no webhooks are sent to %s for now", self.endpoint.endpoint_id
                )
                wait_s = _TROUBLE_S
            try:
                async with asyncio.timeout(max(wait_s, 0.0)):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def stop(self) -> None:
        """Starts nothing more, waits for what is under way, and gives the lease back."""
        self._stopping = True
        self.wake()
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=self._context.policy.drain_s)
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        if self.claim is not None:
            await self._queue.release()

    async def _step(self) -> float:
        """One round; seconds until there is something to do by the clock."""
        now_s = time.monotonic()
        if now_s >= self._claim_at_s:
            await self._renew(now_s)
        if self.claim is None or self._stopping:
            return self._claim_at_s - time.monotonic()
        if self.endpoint.state is EndpointState.ACTIVE:
            if self._news or self._full:
                self._news = False
                self._full = await self._refill(self.claim)
            wait_s = await self._dispatch(self.claim)
        else:
            self._full, wait_s = self.endpoint.state is EndpointState.PAUSED, self._context.policy.renew_s
        if self._full:
            await self._missed_alerts.look(self._context.reader, self.endpoint.filters, self.claim.cursor)
        return min(wait_s, self._claim_at_s - time.monotonic())

    async def _renew(self, now_s: float) -> None:
        policy = self._context.policy
        self._claim_at_s = now_s + policy.renew_s
        self._news = True
        claim = await self._queue.claim(policy.lease_ms)
        if claim is None:
            self._lose()
            return
        if self.claim is None or claim.token != self.claim.token:
            _log.info("delivering to webhook endpoint %s", self.endpoint.endpoint_id)
        self.claim = claim
        self._held_until_s = now_s + policy.lease_ms / 1_000
        if not self._under_way:  # otherwise ours is newer
            self._health = claim.health

    def _lose(self) -> None:
        self.claim = None
        self._missed_alerts.forget()

    async def _refill(self, claim: Claim) -> bool:
        """Enqueues what is new and a little of what is to be sent again; True if there is no more room."""
        policy = self._context.policy
        _, waiting = await self._queue.next_due(1)
        room = policy.pending_max - waiting
        for _ in range(_PAGES):
            more, enqueued = await self._advance(claim, room) if room > 0 else (False, 0)
            room -= enqueued
            claim = self.claim or claim
            if not more:
                break
        else:
            self.wake()
        if claim.replay is not None and claim.replay_until is not None and waiting < policy.replay_ahead:
            await self._repeat(claim, claim.replay, claim.replay_until)
        return room <= 0

    async def _advance(self, claim: Claim, room: int) -> tuple[bool, int]:
        """One page of the log; whether there may be more, and how much of it was enqueued."""
        context, old = self._context, claim.cursor
        start, missed = await self._missed_alerts.locate(context.reader, old)
        page = await read_page(context.reader, self.endpoint.filters, start, room, None)
        if page.end == old and not missed:
            return False, 0
        move = Move(False, old, page.end, missed)
        enqueued = await self._queue.enqueue(claim.token, move, page.messages, wall_clock_ms())
        self._missed_alerts.forget()
        self.claim = claim._replace(cursor=page.end)
        return page.more, enqueued

    async def _repeat(self, claim: Claim, replay: Cursor, until: Cursor) -> None:
        ahead = self._context.policy.replay_ahead
        page = await read_page(self._context.reader, self.endpoint.filters, replay, ahead, until)
        end = None if page.end >= until or not page.more else page.end
        ids = self._under_way.keys()
        messages = [message for message in page.messages if message.message_id not in ids]
        await self._queue.enqueue(claim.token, Move(True, replay, end), messages, wall_clock_ms())
        self.claim = claim._replace(replay=end, replay_until=None if end is None else until)
        self.wake()

    async def _dispatch(self, claim: Claim) -> float:
        """Starts what is due; seconds until the next is."""
        policy, now_ms = self._context.policy, wall_clock_ms()
        most = 1 if self._health.throttled else policy.concurrency
        self._ended.clear()
        candidates, _ = await self._queue.next_due(most + len(self._under_way))
        # What ended since we asked may be among what we were told.
        busy = self._under_way.keys() | self._ended
        rest_ms = max(self._health.rest_until_ms, self._quiet_until_ms(now_ms))
        dues = [(one, max(due, rest_ms)) for one, due in candidates if one not in busy]
        ready = [one for one, due in dues if due <= now_ms][: max(most - len(self._under_way), 0)]
        for delivery, body in (await self._queue.load(ready)).values():
            self._start(claim, delivery, body)
        ahead = [due for _, due in dues if due > now_ms]
        return (min(ahead) - now_ms) / 1_000 if ahead else policy.renew_s

    def _quiet_until_ms(self, now_ms: int) -> int:
        hours = self.endpoint.quiet_hours
        return QuietHours.parse(hours).ends_ms(now_ms, self._context.zone) if hours else 0

    def _start(self, claim: Claim, delivery: Delivery, body: bytes) -> None:
        if self._stopping or time.monotonic() >= self._held_until_s:
            return
        task = asyncio.create_task(self._deliver(claim, self.endpoint, delivery, body))
        self._under_way[delivery.delivery_id] = task
        task.add_done_callback(lambda _: self._end(delivery.delivery_id))

    def _end(self, delivery_id: str) -> None:
        del self._under_way[delivery_id]
        self._ended.add(delivery_id)
        self._woken.set()

    async def _deliver(self, claim: Claim, endpoint: Endpoint, delivery: Delivery, body: bytes) -> None:
        context = self._context
        message = Message(delivery.delivery_id, delivery.message_type, body, delivery.user_id)
        attempt = await self._attempt(endpoint, message)
        context.metrics.count_attempt(attempt.result)
        update = apply_attempt(delivery, self._health, attempt, context.policy, context.random.random())
        self._health = update.health
        try:
            await self._store(claim, update)
            if update.disable is not None:
                await context.disable(endpoint, update.disable)
        except Fenced:
            self._lose()

    async def _attempt(self, endpoint: Endpoint, message: Message) -> Attempt:
        try:
            return await self._context.send(endpoint, message)
        except Exception:  # the boundary: one message we cannot send must not stop the others
            _log.exception("unexpected error while sending message %s", message.message_id)
            return Attempt(wall_clock_ms(), 0, Result.INTERNAL, detail="internal error of the deliverer")

    async def _store(self, claim: Claim, update: DeliveryUpdate) -> None:
        """Stores it however long Redis is away: what was delivered must not be sent again for that."""
        while True:
            try:
                await self._queue.finish(claim.token, update, self._context.policy.log_kept)
                return
            except RedisError as exc:
                self._context.redis.failed(exc)
                if self._stopping:
                    return
                await asyncio.sleep(self._context.policy.renew_s)
