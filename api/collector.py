"""The way of accepted events to Kafka: nothing counts as taken before every replica in sync has it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from http import HTTPStatus

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from api import schemas
from api.errors import Problem
from api.intake import Record
from api.metrics import ApiMetrics
from contracts.settings import Settings
from contracts.topics import Topics

_log = logging.getLogger(__name__)

ACK_TIMEOUT_S = 5.0
_REQUEST_TIMEOUT_MS = 4_000  # so that the client says what is wrong before our deadline
_BATCH_BYTES = 256 * 1024  # the largest request of one visitor in a few round trips, not 64
_CHECK_TIMEOUT_S = 1.0
_AWAY = (KafkaError, OSError)  # TimeoutError is an OSError


class _Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    async def abandon(self) -> None:
        """Ends like `stop`, without sending what it still holds; acknowledgements of that never come.

        `stop` would wait as long as Kafka is away, for an idempotent producer never gives up.
        """
        self._closed = True
        await self._sender.close()
        await self.client.close()


class Collector:
    """Sends events through one idempotent producer, which is made when first needed.

    A producer that failed or was late is replaced: it would retry without end, and send what it still holds
    long after the senders were told otherwise.
    """

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._topics = Topics(settings.topic_prefix)
        self._lock = asyncio.Lock()
        self._producer: _Producer | None = None
        self._warming: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begins to connect, so that the first event need not wait for it; Kafka may be away."""
        self._warming = asyncio.create_task(self._warm_up())

    async def close(self) -> None:
        """Leaves Kafka; what is not acknowledged by now was promised to nobody."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        if self._producer is not None:
            self._retire(self._producer)
        if self._stopping:
            await asyncio.wait(self._stopping)

    async def publish(self, records: Sequence[Record]) -> None:
        """Returns when Kafka has acknowledged all records; raises a 503 `Problem` if it does not in time.

        After a 503 some or all of the records may be in Kafka nevertheless.
        """
        started = time.perf_counter()
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                producer = await self._connect()
                await self._send(producer, records)
        except _AWAY as exc:
            _log.warning("%d events not acknowledged by Kafka: %r", len(records), exc)
            self._metrics.count_events("unacknowledged", "kafka.unavailable", len(records))
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "kafka.unavailable",
                "the event log did not acknowledge; send the same again, with the same event_id",
                headers={"Retry-After": "1"},
            ) from exc
        self._metrics.observe_ack(time.perf_counter() - started)
        self._metrics.count_events("accepted", n_events=len(records))

    async def check(self) -> schemas.Part:
        """Whether Kafka answers and has our topics. At worst degraded: what is read does not need it."""
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                producer = await self._connect()
                cluster = await producer.client.fetch_all_metadata()
        except _AWAY:
            return schemas.Part(status="degraded", detail="does not answer; events are refused")
        lacking = [topic for topic in self._topics.events if not cluster.partitions_for_topic(topic)]
        if lacking:
            return schemas.Part(status="degraded", detail=f"lacks the topics {', '.join(lacking)}")
        return schemas.Part(status="ok", detail="answers and has the event topics")

    async def _warm_up(self) -> None:
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await self._connect()
        except _AWAY as exc:
            _log.warning("Kafka is not there yet; the next request tries again: %r", exc)

    async def _connect(self) -> _Producer:
        async with self._lock:
            if self._producer is None:
                producer = _Producer(
                    bootstrap_servers=self._settings.bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=_REQUEST_TIMEOUT_MS,
                    max_batch_size=_BATCH_BYTES,
                )
                try:
                    await producer.start()
                    self._producer = producer
                finally:
                    if self._producer is None:
                        await producer.abandon()
            return self._producer

    async def _send(self, producer: _Producer, records: Sequence[Record]) -> None:
        acks: list[asyncio.Future[object]] = []
        try:
            for event, value in ((record.event, record.value) for record in records):
                topic = self._topics.of(event.event_type)
                acks.append(await producer.send(topic, value, key=event.user_id.encode()))
            await asyncio.gather(*acks)
        except (KafkaError, asyncio.CancelledError):
            for ack in acks:  # nobody waits for the others any more
                ack.cancel()
            self._retire(producer)
            raise

    def _retire(self, producer: _Producer) -> None:
        if self._producer is producer:
            self._producer = None
            task = asyncio.create_task(producer.abandon())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
