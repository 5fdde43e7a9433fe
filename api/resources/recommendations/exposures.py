"""The way of exposures to Kafka, in the background: no answer waits for it, and none fails with it."""

import asyncio
import logging
from collections import deque

from aiokafka.errors import KafkaError
from prometheus_client import Counter

from api.http.metrics import ApiMetrics
from api.resources.events.kafka_producer import Producer
from connections.kafka import aiokafka_arguments
from contracts.clock import wall_clock_ms
from contracts.exposures import Exposure, encode_exposure
from contracts.settings import Settings
from contracts.topics import Topics

_log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Exposures that wait at once; those beyond are dropped."""
GATHER_S = 0.1
"""So long they gather: a request of its own for each costs Kafka, and workers who read them, more than all
else of an answer costs us. What somebody clicks sooner than that is not attributed."""
_AT_ONCE = 500
_TIMEOUT_S = 5.0
_CLOSE_S = 1.0
_AWAY = (KafkaError, OSError)  # TimeoutError is an OSError


class ExposurePublisher:
    """Sends exposures through a producer of its own, which is made when first needed.

    Those that Kafka does not acknowledge in time are dropped and counted: they are figures, not facts.
    """

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self._settings = settings
        self._topic = Topics(settings.topic_prefix).exposures
        self._waiting: deque[Exposure] = deque()
        self._wakes = asyncio.Event()
        self._is_closing = False
        self._producer: Producer | None = None
        self._sending: asyncio.Task[None] | None = None
        self._counter = Counter(
            "storepulse_api_exposures",
            "Recommendations that were shown, by what became of the record: published or dropped",
            ("result",),
            registry=metrics.registry,
        )

    def start(self) -> None:
        """Begins to send what is put."""
        self._sending = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Ends it; what Kafka does not take at once, or while it was away, is dropped."""
        if self._sending is not None:
            self._is_closing = True
            self._wakes.set()
            if self._producer is not None:
                await asyncio.wait([self._sending], timeout=_CLOSE_S)
            self._sending.cancel()
            await asyncio.wait([self._sending])
        self._count("dropped", len(self._waiting))
        self._waiting.clear()
        await self._retire()

    def put(self, exposure: Exposure) -> None:
        """Takes an exposure; returns at once."""
        if len(self._waiting) >= MAX_WAITING:
            self._count("dropped", 1)
            return
        self._waiting.append(exposure)
        self._wakes.set()

    async def _send_all(self) -> None:
        has_failed = False
        while not self._is_closing:
            await self._wakes.wait()
            if not self._is_closing:
                await asyncio.sleep(GATHER_S)
            self._wakes.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
                try:
                    async with asyncio.timeout(_TIMEOUT_S):
                        await self._send(batch)
                except _AWAY as exc:
                    if not has_failed:
                        _log.warning("exposures are not acknowledged by Kafka and are dropped: %r", exc)
                    has_failed = True
                    self._count("dropped", len(batch))
                    await self._retire()
                else:
                    has_failed = False
                    self._count("published", len(batch))

    async def _send(self, batch: list[Exposure]) -> None:
        producer = self._producer or await self._connect()
        records = [(each.user_id, encode_exposure(each)) for each in batch]
        acks: list[asyncio.Future[object]] = []
        try:
            acks = await producer.put_all(self._topic, records, wall_clock_ms())
            for ack in acks:
                await ack
        except (KafkaError, asyncio.CancelledError):
            for ack in acks:  # nobody waits for the others any more
                if not ack.cancel() and not ack.cancelled():
                    ack.exception()
            raise

    async def _connect(self) -> Producer:
        producer = Producer(
            **aiokafka_arguments(self._settings),
            partitions=self._settings.partitions,
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=4_000,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.abandon()
            raise
        self._producer = producer
        return producer

    async def _retire(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.abandon()

    def _count(self, result: str, number: int) -> None:
        if number:
            self._counter.labels(result).inc(number)
