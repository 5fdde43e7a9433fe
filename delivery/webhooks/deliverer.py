"""The deliverer: a worker for every endpoint, and a listener at the log of alerts that wakes them."""

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

from redis.exceptions import RedisError

from connections.redis_check import PROBE_MS
from connections.redis_health import RedisHealth
from connections.redis_troubles import redis_trouble
from contracts.clock import wall_clock_ms
from delivery.webhooks.endpoint_worker import EndpointWorker
from delivery.webhooks.endpoints import DisabledReason, Endpoint, EndpointState
from delivery.webhooks.errors import ChangedMeanwhile, UnknownEndpoint, UnreadableEndpoint
from delivery.webhooks.metrics import WebhookMetrics
from delivery.webhooks.policy import DeliveryPolicy
from delivery.webhooks.registry import Registry
from delivery.webhooks.sender import Sender
from delivery.webhooks.worker_context import WorkerContext
from readers.alerts.log import START, parse_cursor, read_ends
from readers.reader import Reader

_log = logging.getLogger(__name__)

_LISTEN_MS = 1_000
_ALIVE_S = 15.0


class Deliverer:
    """Delivers for every endpoint whose lease it gets; any number of them may run on one Redis."""

    def __init__(
        self, reader: Reader, sender: Sender, policy: DeliveryPolicy, metrics: WebhookMetrics
    ) -> None:
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._reader = reader
        self._registry = Registry(reader)
        self._policy = policy
        self._metrics = metrics
        self.redis = RedisHealth()
        """What keeps all of it from its work."""
        self._context = WorkerContext(
            reader, sender.send, self._disable, policy, metrics, self.holder, self.redis,
            ZoneInfo(reader.settings.timezone),
        )  # fmt: skip
        self._workers: dict[str, EndpointWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen_s = time.monotonic()

    def is_alive(self) -> bool:
        """Whether its rounds still come; they do while Redis is away."""
        return time.monotonic() - self._seen_s < _ALIVE_S

    @property
    def known(self) -> dict[str, Endpoint]:
        """The endpoints as this process knows them; a change arrives within half a second."""
        return {endpoint_id: worker.endpoint for endpoint_id, worker in self._workers.items()}

    async def run(self, stopping: asyncio.Event) -> None:
        """Delivers until told to stop, then lets what is under way end and gives its leases back."""
        listener = asyncio.create_task(self._listen(stopping))
        try:
            while not stopping.is_set():
                self._seen_s = time.monotonic()
                try:
                    await self._show_presence()
                    self._keep_workers(await self._registry.read_all())
                    await self._reader.redis.set(self._reader.keys.write_probe(), b"", px=PROBE_MS)
                    self.redis.answered(wrote=True)
                except (RedisError, OSError) as exc:
                    self.redis.failed(exc)
                self._show()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._policy.renew_s / 2):
                        await stopping.wait()
        finally:
            stopping.set()
            await self._stop()
            await listener

    def _keep_workers(self, endpoints: dict[str, Endpoint]) -> None:
        """A worker for every endpoint that there is, none for those that are gone."""
        for endpoint_id, endpoint in endpoints.items():
            worker = self._workers.get(endpoint_id)
            if worker is None:
                worker = self._workers[endpoint_id] = EndpointWorker(endpoint, self._context)
                self._tasks[endpoint_id] = asyncio.create_task(worker.run(), name=f"worker {endpoint_id}")
            elif worker.endpoint != endpoint:
                worker.replace(endpoint)
            if self._tasks[endpoint_id].done():  # a mistake of ours must be seen, and ends the process
                self._tasks[endpoint_id].result()
        for endpoint_id in self._workers.keys() - endpoints.keys():
            self._workers.pop(endpoint_id).abandon()
            del self._tasks[endpoint_id]
        self._metrics.show_endpoints(Counter(endpoint.state for endpoint in endpoints.values()))

    async def _show_presence(self) -> None:
        """So that the API can tell an endpoint nobody serves from one that is about to be served."""
        key = self._reader.keys.webhook_deliverer()
        await self._reader.redis.set(key, self.holder, px=self._policy.lease_ms)

    def _show(self) -> None:
        claims = [worker.claim for worker in self._workers.values() if worker.claim is not None]
        since = [claim.oldest_ms for claim in claims if claim.oldest_ms is not None]
        oldest_s = (wall_clock_ms() - min(since)) / 1_000 if since else 0.0
        self._metrics.show_leases(len(claims), max(oldest_s, 0.0))

    async def _listen(self, stopping: asyncio.Event) -> None:
        """Wakes every worker when there is something new in the log."""
        key = self._reader.keys.alerts()
        last = START
        while not stopping.is_set():
            try:
                if last == START:
                    last = (await read_ends(self._reader))[1]
                found: Any = await self._reader.redis.xread({key: str(last)}, count=1_000, block=_LISTEN_MS)
            except RedisError:
                await asyncio.sleep(_LISTEN_MS / 1_000)
                last = START
                continue
            if found:
                last = parse_cursor(found[0][1][-1][0].decode())
                for worker in self._workers.values():
                    worker.wake()

    async def _disable(self, endpoint: Endpoint, reason: DisabledReason) -> None:
        """Disables the endpoint, unless it was given another receiver meanwhile."""

        def turn(current: Endpoint) -> Endpoint:
            if current.url != endpoint.url or current.state is EndpointState.DISABLED:
                return current
            return current.turn(EndpointState.DISABLED, now_ms=wall_clock_ms(), reason=reason)

        try:
            changed = await self._registry.change(endpoint.endpoint_id, turn)
        except (
            UnknownEndpoint,
            UnreadableEndpoint,
            ChangedMeanwhile,
            RedisError,
        ) as exc:
            # It was removed meanwhile, or the next failure disables it.
            why = redis_trouble(exc) if isinstance(exc, RedisError) else exc
            _log.warning("cannot disable webhook endpoint %s: %s", endpoint.endpoint_id, why)
            return
        worker = self._workers.get(endpoint.endpoint_id)
        if worker is not None and worker.endpoint != changed:
            _log.warning("webhook endpoint %s is disabled: %s", endpoint.endpoint_id, reason.value)
            worker.replace(changed)

    async def _stop(self) -> None:
        with contextlib.suppress(RedisError):
            await asyncio.gather(*(worker.stop() for worker in self._workers.values()))
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
