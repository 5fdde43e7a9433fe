"""The Kafka side of the assignment: the ends of the logs, and where the batch consumer reads."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioTopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError

from connections.kafka import aiokafka_reader_arguments
from contracts.settings import Settings
from contracts.topics import Topics
from stream.batch.records import Record
from stream.consumer.batch_app import BatchApp
from stream.consumer.parsed_records import Fetched
from stream.partitions.assignment import TopicPartition

log = logging.getLogger(__name__)

RETRY_S = 0.2
READ_S = 60.0
READ_POLL_MS = 100


class KafkaLog:
    """`stream.partitions.assignment.Log` over Kafka.

    Asks for offsets on connections of its own: a broker answers the requests of one connection in order, and
    on the batch consumer's a request would wait for the long poll of the fetch before it, a second and more.
    """

    def __init__(self, app: BatchApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._topics = Topics(settings.topic_prefix).partitioned
        self._asker: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def bounds(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """See `Log.bounds`."""
        asked = [AioTopicPartition(*tp) for tp in tps]
        asker = await self._started()
        starts, ends = await asyncio.gather(asker.beginning_offsets(asked), asker.end_offsets(asked))
        return {(tp.topic, tp.partition): (starts[tp], ends[tp]) for tp in asked}

    async def ends(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """See `Log.ends`."""
        asker = await self._started()
        ends = await asker.end_offsets([AioTopicPartition(*tp) for tp in tps])
        return {(tp.topic, tp.partition): end for tp, end in ends.items()}

    async def read(
        self, spans: Mapping[TopicPartition, tuple[int, int]]
    ) -> dict[TopicPartition, list[Record]]:
        """See `Log.read`."""
        reader = AIOKafkaConsumer(**aiokafka_reader_arguments(self._settings))
        found: dict[TopicPartition, list[Record]] = {tp: [] for tp in spans}
        try:
            async with asyncio.timeout(READ_S):
                await reader.start()
                reader._fetcher._records = Fetched(reader._fetcher._records)
                reader.assign([AioTopicPartition(*tp) for tp in spans])
                for tp, (start, _) in spans.items():
                    reader.seek(AioTopicPartition(*tp), start)
                left = dict(spans)
                while left:
                    for tp, records in (await reader.getmany(timeout_ms=READ_POLL_MS)).items():
                        place = (tp.topic, tp.partition)
                        found[place] += [record for record in records if record.offset < spans[place][1]]
                    for place in list(left):
                        if await reader.position(AioTopicPartition(*place)) >= spans[place][1]:
                            del left[place]
        except TimeoutError as exc:
            raise KafkaTimeoutError(f"{len(spans)} logs were not read to their end in {READ_S} s") from exc
        finally:
            await reader.stop()
        return found

    async def move(self, tp: TopicPartition, offset: int) -> None:
        """See `Log.move`."""
        await self._app.consumer.move(tp, offset)

    def note_applied(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Log.note_applied`."""
        self._app.consumer.note_applied(offsets)

    async def stop(self) -> None:
        """Close the connections."""
        if self._asker is not None:
            await self._asker.stop()

    async def _started(self) -> AIOKafkaConsumer:
        async with self._starting:
            while self._asker is None:
                asker = AIOKafkaConsumer(**aiokafka_reader_arguments(self._settings), retry_backoff_ms=50)
                try:
                    await asker.start()
                    await asker._client.set_topics(self._topics)  # it would learn of one every 50 ms
                    self._asker = asker
                except KafkaError as exc:
                    log.info("cannot ask Kafka for offsets yet: %s", exc)
                    await asker.stop()
                    await asyncio.sleep(RETRY_S)
        return self._asker
