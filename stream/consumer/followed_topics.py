"""Topics that a worker follows beside its group: it reads the partitions that it owns, and no others.

The group's members would have to subscribe to the same topics, or Faust gives none of them to those that lack
one. So a topic that an earlier version does not know is followed, and workers of both may share a group.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioTopicPartition
from aiokafka.errors import KafkaError

from connections.kafka import aiokafka_reader_arguments
from connections.kafka_positions import ends_of, positions_of
from contracts.settings import Settings
from stream.consumer.parsed_records import Fetched
from stream.partitions.assignment import Assignment
from stream.partitions.scheduler import Scheduler

log = logging.getLogger(__name__)

POLL_MS = 200
RETRY_S = 1.0
MAX_RECORDS = 2_000


class FollowedTopics:
    """Reads the followed topics of the partitions of one assignment. One instance per worker."""

    def __init__(self, settings: Settings, assignment: Assignment, scheduler: Scheduler) -> None:
        self._settings = settings
        self._assignment = assignment
        self._scheduler = scheduler
        self._positions: dict[AioTopicPartition, int] = {}
        """Next offsets, as the consumer has them."""

    async def run(self) -> None:
        """Deliver what these topics have, until cancelled; while Kafka is away there is nothing."""
        if not self._assignment.followed:
            await asyncio.Event().wait()
        while True:
            consumer = AIOKafkaConsumer(
                **aiokafka_reader_arguments(self._settings), auto_offset_reset="earliest"
            )
            self._positions = {}
            try:
                await consumer.start()
                consumer._fetcher._records = Fetched(consumer._fetcher._records)
                while True:
                    await self._deliver(consumer)
            except KafkaError as exc:
                log.warning("cannot read topics outside the consumer group, retrying: %s", exc)
                await asyncio.sleep(RETRY_S)
            finally:
                await consumer.stop()

    async def _deliver(self, consumer: AIOKafkaConsumer) -> None:
        self._seek(consumer)
        if not self._positions:
            await asyncio.sleep(POLL_MS / 1_000)
            return
        found: dict[AioTopicPartition, Sequence[Any]] = await consumer.getmany(
            timeout_ms=POLL_MS, max_records=MAX_RECORDS
        )
        ends = ends_of(consumer, self._positions)
        for tp, reached in positions_of(consumer, self._positions).items():
            asked, self._positions[tp] = self._positions[tp], reached
            if reached > asked:
                records = found.get(tp, ())
                await self._scheduler.offer(tp.topic, tp.partition, records, asked, reached, ends[tp])

    def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """Read what is ours now, from where each partition is: it may have been claimed anew."""
        wanted = {
            AioTopicPartition(topic, number): part.fetched[topic]
            for number, part in self._assignment.partitions.items()
            for topic in self._assignment.followed
        }
        if wanted.keys() != self._positions.keys():
            consumer.assign(list(wanted))
            self._positions = {}
        for tp, offset in wanted.items():
            if self._positions.get(tp) != offset:
                consumer.seek(tp, offset)
        self._positions = wanted
