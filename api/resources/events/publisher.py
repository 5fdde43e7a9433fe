"""The way of accepted events to Kafka: nothing counts as taken before every replica in sync has it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import NamedTuple

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from api.http.errors import Problem
from api.http.metrics import ApiMetrics
from api.http.parts import Part
from api.resources.events.in_flight import retry_header
from api.resources.events.kafka_producer import Headers, Producer
from api.resources.events.validation import Record
from connections.kafka import aiokafka_arguments
from connections.kafka_check import check_kafka
from contracts.clock import wall_clock_ms
from contracts.dead_letters import DeadLetter, encode_dead_letter
from contracts.settings import Settings
from contracts.topics import Topics

_log = logging.getLogger(__name__)

ACK_TIMEOUT_S = 5.0
_REQUEST_TIMEOUT_MS = 4_000  # so that the client says what is wrong before our deadline
_BATCH_BYTES = 256 * 1024  # the largest request of one visitor in a few round trips, not 64
_CHECK_TIMEOUT_S = 1.0
MAX_WAITING_LETTERS = 200
_AWAY = (KafkaError, OSError)  # TimeoutError is an OSError


class Outgoing(NamedTuple):
    """A record on its way to a topic, by its real name."""

    topic: str
    key: str
    value: bytes
    headers: Headers


class EventPublisher:
    """Sends events through one idempotent producer, which is made when first needed.

    A producer that failed or was late is replaced: it would retry without end, and send what it still holds
    long after the senders were told otherwise.
    """

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._topics = Topics(settings.topic_prefix)
        self._lock = asyncio.Lock()
        self._producer: Producer | None = None
        self._warming: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()
        self._letters: deque[DeadLetter] = deque()
        self._reporting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to connect, so that the first event need not wait for it; Kafka may be away."""
        self._warming = asyncio.create_task(self._warm_up())

    async def close(self) -> None:
        """Leaves Kafka; what is not acknowledged by now was promised to nobody."""
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait([self._warming])
        if self._reporting is not None:
            await asyncio.wait([self._reporting])
        if self._producer is not None:
            self._retire(self._producer)
        if self._stopping:
            await asyncio.wait(self._stopping)

    async def publish(self, records: Sequence[Record], headers: Headers, anonymous_headers: Headers) -> None:
        """Sends events as `send` does. The second headers are those of anonymous ones."""
        of = self._topics.of
        await self.send([
            Outgoing(
                of(event.event_type), event.user_id, value, anonymous_headers if is_anonymous else headers
            )
            for event, value, is_anonymous in records
        ])  # fmt: skip

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Returns when Kafka has acknowledged all records; raises a 503 `Problem` if it does not in time.

        After a 503 some or all of the records may be in Kafka nevertheless. 413 says that the topics are set
        up for smaller records than the contract allows.
        """
        started = time.perf_counter()
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                producer = self._producer or await self._connect()
                await self._send(producer, records)
        except MessageSizeTooLargeError as exc:
            _log.error("Kafka does not accept a record this large; raise max.message.bytes of the topics")
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "kafka.record_too_large",
                "a record is larger than Kafka is configured to accept; send smaller ones",
            ) from exc
        except _AWAY as exc:
            _log.warning("%d records not acknowledged by Kafka: %r", len(records), exc)
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "kafka.unavailable",
                "Kafka did not acknowledge; send the same request again, events with the same event_id",
                headers=retry_header(),
            ) from exc
        self._metrics.observe_ack(time.perf_counter() - started)

    def report(self, letters: Iterable[DeadLetter]) -> None:
        """Send dead letters without waiting for them; those beyond `MAX_WAITING_LETTERS` are left out."""
        for letter in letters:
            if len(self._letters) < MAX_WAITING_LETTERS:
                self._letters.append(letter)
        if self._letters and self._reporting is None:
            self._reporting = asyncio.create_task(self._report())

    async def _report(self) -> None:
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                while self._letters:
                    producer = self._producer or await self._connect()
                    letter = self._letters.popleft()
                    ack = await producer.put(
                        self._topics.rejected,
                        letter.topic,
                        encode_dead_letter(letter),
                        [("id", letter.letter_id.encode())],
                        wall_clock_ms(),
                    )
                    await ack
        except _AWAY as exc:
            _log.warning("cannot write dead letters of rejected events: %r", exc)
            self._letters.clear()
        finally:
            self._reporting = None

    async def check(self) -> Part:
        """Whether Kafka answers and has our topics. At worst degraded: what is read does not need it."""
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                producer = await self._connect()
                cluster = await producer.client.fetch_all_metadata()
        except _AWAY:
            return Part(status="degraded", detail=f"{await self._explain()}; events are refused")
        lacking = [topic for topic in self._topics.events if not cluster.partitions_for_topic(topic)]
        if lacking:
            return Part(status="degraded", detail=f"lacks the topics {', '.join(lacking)}")
        counts = {topic: len(cluster.partitions_for_topic(topic)) for topic in self._topics.events}
        others = {topic: count for topic, count in counts.items() if count != self._settings.partitions}
        if others:
            listed = ", ".join(f"{topic} has {count}" for topic, count in others.items())
            return Part(
                status="degraded",
                detail=f"the installation has {self._settings.partitions} partitions, but {listed}; "
                "`storepulse topics grow` fixes this",
            )
        return Part(status="ok", detail="answers and has the event topics")

    async def _explain(self) -> str:
        """Why Kafka does not take us, in words: its client says of every reason that nobody answers."""
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                trouble = await check_kafka(self._settings)
        except TimeoutError:
            trouble = None
        return str(trouble) if trouble is not None and trouble.is_refusal else "does not answer"

    async def _warm_up(self) -> None:
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await self._connect()
        except _AWAY as exc:
            _log.warning("Kafka is not available yet; the next request tries again: %r", exc)

    async def _connect(self) -> Producer:
        async with self._lock:
            if self._producer is None:
                producer = Producer(
                    **aiokafka_arguments(self._settings),
                    partitions=self._settings.partitions,
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

    async def _send(self, producer: Producer, records: Sequence[Outgoing]) -> None:
        acks: list[asyncio.Future[object]] = []
        now_ms = wall_clock_ms()
        try:
            for topic, key, value, headers in records:
                acks.append(await producer.put(topic, key, value, headers, now_ms))
            for ack in acks:  # most come together, and gather has its price for each
                await ack
        except (KafkaError, asyncio.CancelledError):
            for ack in acks:  # nobody waits for the others any more
                if not ack.cancel() and not ack.cancelled():
                    ack.exception()
            self._retire(producer)
            raise

    def _retire(self, producer: Producer) -> None:
        if self._producer is producer:
            self._producer = None
            task = asyncio.create_task(producer.abandon())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
