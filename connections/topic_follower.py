"""Reads a whole topic of few records, and then what is added to it, outside any consumer group."""

import asyncio
import logging
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from connections.kafka import aiokafka_reader_arguments
from connections.tls import CertificateError
from contracts.connection_settings import ConnectionSettings as Settings

log = logging.getLogger(__name__)

POLL_MS = 500
RETRY_S = 1.0
MISSING_S = 5.0
"""A topic that is not there is looked for again after so long: an installation may be older than it."""


class TopicFollower:
    """Gives the values of all records to `take`, of each partition in order.

    After a lost connection it reads from the start again, so `take` must bear to see a record twice.
    """

    def __init__(self, settings: Settings, topic: str, take: Callable[[bytes], None]) -> None:
        self._settings = settings
        self._topic = topic
        self._take = take
        self.is_read = asyncio.Event()
        """Set once all that was there at the first look was read, or there was no such topic."""
        self.has_tried = asyncio.Event()
        """Set then too, and where Kafka could not be reached."""

    async def run(self) -> None:
        """Follow until cancelled; while Kafka is away there is nothing."""
        while True:
            try:
                await self._follow()
            except (KafkaError, CertificateError, OSError) as exc:
                log.info("topic %s cannot be read, trying again: %r", self._topic, exc)
            self.has_tried.set()
            _end_if_cancelled()
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(**aiokafka_reader_arguments(self._settings))
        try:
            await consumer.start()
            while self._topic not in await consumer.topics():  # which makes no topic, as asking for it may
                self._note_read()
                _end_if_cancelled()
                await asyncio.sleep(MISSING_S)
            first = TopicPartition(self._topic, 0)
            consumer.assign([first])
            await consumer.end_offsets([first])  # it knows of the topic's partitions then
            numbers = consumer.partitions_for_topic(self._topic) or {0}
            places = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            consumer.assign(places)
            starts = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
            for place in places:
                consumer.seek(place, starts[place])
            reached = dict(starts)
            while True:
                _end_if_cancelled()
                if all(reached[place] >= ends[place] for place in places):
                    self._note_read()
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        if record.value is not None:
                            self._take(record.value)
                for place in places:
                    reached[place] = await consumer.position(place)
        finally:
            # Also where this task is cancelled meanwhile: what aiokafka has begun would never end.
            await asyncio.shield(asyncio.ensure_future(consumer.stop()))

    def _note_read(self) -> None:
        self.is_read.set()
        self.has_tried.set()


def _end_if_cancelled() -> None:
    """Raise a cancellation of this task that aiokafka has lost: `wait_for` of Python 3.11 forgets some."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
