"""The consumer thread: aiokafka's side of Faust's consumer, less what keeps a worker silently idle."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition as AioTopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP

from connections.kafka import READ_COMMITTED
from connections.kafka_positions import ends_of, positions_of
from stream.consumer.pacing import FetchPace
from stream.consumer.parsed_records import Fetched

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 50
"""Longest wait of a fetch without records. Faust says 1,500; the embedded broker always takes all of it."""


class Fetch(NamedTuple):
    """What one fetch brought, by topic partition: records, positions before and after, ends of logs."""

    records: Mapping[TP, Sequence[Any]]
    began: Mapping[TP, int]
    reached: Mapping[TP, int]
    ends: Mapping[TP, int]


NOTHING_FETCHED = Fetch({}, {}, {}, {})


class BatchConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped
    """Faust's consumer thread, which reads coordinator errors that stock Faust leaves parked.

    aiokafka keeps such an error until somebody calls `check_errors`; Faust never does, so a worker could stay
    in the group with no partitions, without an error, until restarted.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.pace = FetchPace()
        self._fetching = 0
        super().__init__(*args, **kwargs)

    async def on_start(self) -> None:
        """Start the consumer, pace its fetches and spare their records."""
        await super().on_start()
        fetcher = self._ensure_consumer()._fetcher
        self.pace.hold_back(fetcher)
        fetcher._records = Fetched(fetcher._records)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._isolation_level = READ_COMMITTED
        return consumer

    async def touch(self) -> None:
        """Keep aiokafka's poll clock alive while there is nothing to poll."""
        consumer = self._ensure_consumer()
        consumer._coordinator.check_errors()
        with consumer._subscription.fetch_context():
            pass

    async def go_to(self, tp: TP, offset: int) -> None:
        """Read on at `offset`; nothing happens if the partition was lost meanwhile.

        Runs in this thread: a seek from another one takes buffers away that a fetch is just looking at.
        """
        with contextlib.suppress(IllegalStateError):
            self._ensure_consumer().seek(AioTopicPartition(tp.topic, tp.partition), offset)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector races between threads; our own watchdog looks at our progress."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        # Stock Faust ends the worker when a commit fails. Here Kafka's offsets are a hint, so an outage or a
        # rebalance under way only makes the hint older.
        wanted = {
            AioTopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in self.assignment()
        }
        try:
            await self._ensure_consumer().commit(wanted)
        except (KafkaError, IllegalStateError) as exc:
            log.info("offsets not committed to Kafka: %s", exc)
            return False
        return True

    async def _fetch_records(
        self, consumer: Any, active: Any, timeout: Any = None, max_records: Any = None
    ) -> Any:
        consumer._coordinator.check_errors()
        # One that was cancelled may still be under way, and take records that nobody gets.
        began = {} if self._fetching else positions_of(consumer, active)
        self._fetching += 1
        try:
            records = await super()._fetch_records(consumer, active, timeout, max_records)
        finally:
            self._fetching -= 1
        return Fetch(records, began, positions_of(consumer, active), ends_of(consumer, active))
