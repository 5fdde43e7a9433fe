"""The relay: publishes each outbox to Kafka, in order, and the alerts in it to readers in Redis too."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from redis.exceptions import RedisError

from connections.kafka import aiokafka_arguments
from connections.kafka_troubles import kafka_trouble
from contracts.settings import Settings
from contracts.topics import Topics
from stream.partitions.assignment import Assignment
from stream.runtime.metrics import Meter
from stream.state.outbox import Outboxes, OutboxItem, Pages

log = logging.getLogger(__name__)

GATHER_S = 0.003
"""The commits of a round end shortly after one another: what they leave is published together."""
SWEEP_S = 5.0
READ_LIMIT = 500
FIRST_LIMIT = 50
PAGE_BYTES = 4 << 20
"""A page of an outbox has about as many at most: dead letters may be large."""


class Relay:
    """Copies what commits left in the outboxes; a copy that is made twice has the same `id` header."""

    def __init__(self, settings: Settings, outboxes: Outboxes, assignment: Assignment, meter: Meter) -> None:
        self._settings = settings
        self._outboxes = outboxes
        self._assignment = assignment
        self._meter = meter
        self._limit = FIRST_LIMIT
        topics = Topics(settings.topic_prefix)
        self._alerts_topic = topics.alerts
        self._topics = set(topics.all)
        """Those that are ours, or were found in Kafka: where one of them is missing, it is waited for."""

    async def run(self) -> None:
        """Publish until cancelled; while Kafka or Redis is away the outboxes wait."""
        producer = AIOKafkaProducer(
            **aiokafka_arguments(self._settings), acks="all", enable_idempotence=True, linger_ms=0
        )
        while True:
            try:
                await producer.start()
                break
            except KafkaError as exc:
                log.warning("the relay cannot reach Kafka, retrying: %s", kafka_trouble(exc))
                await asyncio.sleep(1.0)
        try:
            await self._publish_forever(producer)
        finally:
            await producer.stop()

    async def _publish_forever(self, producer: AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        next_sweep_s = 0.0
        while True:
            partitions = self._meter.filled_outboxes
            if loop.time() >= next_sweep_s:  # what an earlier owner left, or a failed publish
                next_sweep_s = loop.time() + SWEEP_S
                partitions = set(self._assignment.partitions)
            self._meter.filled_outboxes = set()
            self._meter.outboxes_filled.clear()
            try:
                while partitions:
                    partitions = await self._drain(producer, partitions)
                    self._meter.redis.answered(wrote=True)
            except RedisError as exc:
                self._meter.redis.failed(exc)
            except (KafkaError, OSError) as exc:
                log.warning("outboxes not published, retrying: %s", kafka_trouble(exc))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_sweep_s):
                    await self._meter.outboxes_filled.wait()
            await asyncio.sleep(GATHER_S)

    async def _drain(self, producer: AIOKafkaProducer, partitions: set[int]) -> set[int]:
        """Publish a page of each of these outboxes, all at once; returns those that may hold more.

        Together, because every await of the relay waits for a round of the scheduler.
        """
        limit = self._limit
        pages = await self._outboxes.read(partitions, limit)
        pages = await self._without_foreign(producer, pages)
        if not pages:
            return set()
        self._limit = min([_fitting(items) for items in pages.values()])
        published = await asyncio.gather(*[self._send(producer, *page) for page in pages.items()])
        pages = {p: items for (p, items), done in zip(pages.items(), published, strict=True) if done}
        void = await self._append(pages)
        for number in void & self._assignment.partitions.keys():
            self._meter.outbox_filled(number)  # with whatever is decided anew
        pages = {p: items for p, items in pages.items() if p not in void}
        if not pages:
            return set()
        await self._outboxes.clear(pages)
        self._meter.published.inc(sum(map(len, pages.values())))
        return {p for p, items in pages.items() if len(items) == limit}

    async def _without_foreign(self, producer: AIOKafkaProducer, pages: Pages) -> Pages:
        """The pages without things for topics that are neither ours nor in Kafka: they are set aside.

        What is for another topic is of another version's worker, or somebody else's, and would hold up all
        that comes after it for ever.
        """
        others = {item.topic for items in pages.values() for item in items} - self._topics
        if not others:
            return pages
        there = (await producer.client.fetch_all_metadata()).topics(exclude_internal_topics=False)
        self._topics |= others & there
        kept = {}
        for number, items in pages.items():
            foreign = [item for item in items if item.topic not in self._topics]
            if foreign:
                await self._outboxes.set_aside(number, foreign)
            kept[number] = [item for item in items if item.topic in self._topics]
        return {number: items for number, items in kept.items() if items}

    async def _send(self, producer: AIOKafkaProducer, number: int, items: Sequence[OutboxItem]) -> bool:
        """Whether Kafka has taken this page of an outbox; what is too large for it is set aside."""
        too_large: list[OutboxItem] = []
        sent: list[OutboxItem] = []
        acks = []
        try:
            for item in items:
                headers = [("id", item.item_id.encode())]
                try:
                    ack = await producer.send(item.topic, item.value or None, key=item.key, headers=headers)
                except MessageSizeTooLargeError:
                    too_large.append(item)
                else:
                    sent.append(item)
                    acks.append(ack)
            for item, answer in zip(sent, await asyncio.gather(*acks, return_exceptions=True), strict=True):
                if isinstance(answer, MessageSizeTooLargeError):
                    too_large.append(item)
                elif isinstance(answer, BaseException):
                    raise answer
        except KafkaError as exc:
            log.warning("outbox of partition %d not published, retrying: %s", number, kafka_trouble(exc))
            return False
        if too_large:
            await self._outboxes.set_aside(number, too_large)
        return True

    async def _append(self, pages: Pages) -> set[int]:
        """Append the alerts in these pages to the stream; returns the partitions whose page is void."""
        alerts = {
            p: [item for item in items if item.topic == self._alerts_topic] for p, items in pages.items()
        }
        alerts = {p: items for p, items in alerts.items() if items}
        return await self._outboxes.append_alerts(alerts) if alerts else set()


def _fitting(items: Sequence[OutboxItem]) -> int:
    """How many items such as these are a page."""
    size = sum([len(item.value) for item in items])
    return max(1, min(READ_LIMIT, PAGE_BYTES * len(items) // max(1, size)))
