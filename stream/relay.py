"""The relay: publishes each outbox to Kafka, in order, and the alerts in it to readers in Redis too."""

import asyncio
import logging

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from contracts.settings import Settings
from contracts.topics import Topics
from stream.assignment import Assignment
from stream.metrics import Meter
from stream.store import Store

log = logging.getLogger(__name__)

POLL_S = 0.05
SWEEP_S = 5.0
READ_LIMIT = 500


class Relay:
    """Copies what commits left in the outboxes; a copy that is made twice has the same `id` header."""

    def __init__(self, settings: Settings, store: Store, assignment: Assignment, meter: Meter) -> None:
        self._settings = settings
        self._store = store
        self._assignment = assignment
        self._meter = meter
        self._alerts_topic = Topics(settings.topic_prefix).alerts

    async def run(self) -> None:
        """Publish until cancelled; while Kafka or Redis is away the outboxes wait."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap, acks="all", enable_idempotence=True, linger_ms=5
        )
        while True:
            try:
                await producer.start()
                break
            except KafkaError as exc:
                log.warning("the relay cannot reach Kafka, trying again: %s", exc)
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
            for number in sorted(partitions):
                try:
                    while await self._publish(producer, number):
                        pass
                except (KafkaError, RedisError, OSError) as exc:
                    log.warning("outbox of partition %d not published, trying again: %s", number, exc)
            await asyncio.sleep(POLL_S)

    async def _publish(self, producer: AIOKafkaProducer, number: int) -> bool:
        """Publish one page of an outbox; False if it was empty."""
        items = await self._store.read_outbox(number, READ_LIMIT)
        if not items:
            return False
        acks = [
            await producer.send(item.topic, item.value, key=item.key, headers=[("id", item.item_id.encode())])
            for item in items
        ]
        await asyncio.gather(*acks)
        alerts = [item for item in items if item.topic == self._alerts_topic]
        if alerts and not await self._store.append_alerts(number, alerts):
            if number in self._assignment.partitions:
                self._meter.outbox_filled(number)  # with whatever is decided anew
            return False
        await self._store.clear_outbox(number, items)
        self._meter.published.inc(len(items))
        return True
