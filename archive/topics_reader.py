"""Reads the topics of an installation for its archive, from given offsets, in no consumer group."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from connections.kafka import aiokafka_arguments, aiokafka_reader_arguments
from connections.kafka_positions import ends_of, positions_of
from contracts.settings import Settings
from contracts.topics import DELETIONS, archived_topics

POLL_MS = 200
MAX_RECORDS = 5_000


class UnusableTopics(RuntimeError):
    """The topics are not there, or not as the archive has them; says what to do."""


class Fetched(NamedTuple):
    """Records of one partition; `reached` is the next offset after them and what it passes over."""

    topic: str
    partition: int
    records: Sequence[Any]
    reached: int


class TopicsReader:
    """A consumer and where it is. `partitions` are those of every topic; topics have their plain names."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str, partitions: int) -> None:
        self._consumer = consumer
        self._prefix = prefix
        self._positions: dict[TopicPartition, int] = {}
        self.partitions = partitions

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Connect; raises `UnusableTopics` or `aiokafka.errors.KafkaError`."""
        partitions = await _count_partitions(settings)
        consumer = AIOKafkaConsumer(
            **aiokafka_reader_arguments(settings), auto_offset_reset="none", max_poll_records=MAX_RECORDS
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        return cls(consumer, settings.topic_prefix, partitions)

    async def close(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def bounds(self, topics: Iterable[str]) -> dict[tuple[str, int], tuple[int, int]]:
        """First offset that is there and next offset of the log, by topic and partition."""
        tps = self._places(topics)
        first = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        return {(self._plain(tp), tp.partition): (first[tp], ends[tp]) for tp in tps}

    def begin(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self._positions = {
            TopicPartition(self._prefix + topic, partition): offset
            for (topic, partition), offset in offsets.items()
        }
        self._consumer.assign(list(self._positions))
        for tp, offset in self._positions.items():
            self._consumer.seek(tp, offset)

    async def fetch(self) -> list[Fetched]:
        """What has come, after `POLL_MS` at the latest; every partition that went on is there.

        Raises `aiokafka.errors.KafkaError`, among them `NoOffsetForPartitionError` or `OffsetOutOfRangeError`
        where records are gone.
        """
        found: dict[TopicPartition, Sequence[Any]] = await self._consumer.getmany(
            timeout_ms=POLL_MS, max_records=MAX_RECORDS
        )
        fetched = []
        for tp, reached in positions_of(self._consumer, self._positions).items():
            if reached > self._positions[tp]:
                self._positions[tp] = reached
                fetched.append(Fetched(self._plain(tp), tp.partition, found.get(tp, ()), reached))
        return fetched

    def lags(self) -> dict[str, int]:
        """Records that are there to be read, by topic, as of the last fetch."""
        lags: dict[str, int] = {}
        for tp, end in ends_of(self._consumer, self._positions).items():
            topic = self._plain(tp)
            lags[topic] = lags.get(topic, 0) + max(0, end - self._positions[tp])
        return lags

    def has_reached(self, ends: Mapping[tuple[str, int], int]) -> bool:
        """Whether everything before these offsets was read, as far as it can be read yet."""
        stable = ends_of(self._consumer, self._positions)
        for tp, position in self._positions.items():
            end = ends.get((self._plain(tp), tp.partition), 0)
            if position < end and not 0 < stable.get(tp, 0) <= position:
                return False
        return True

    def _places(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [TopicPartition(self._prefix + topic, p) for topic in topics for p in range(self.partitions)]

    def _plain(self, tp: TopicPartition) -> str:
        return str(tp.topic).removeprefix(self._prefix)


async def _count_partitions(settings: Settings) -> int:
    """The partitions that all topics that are read have; raises `UnusableTopics`."""
    names = sorted(settings.topic_prefix + name for name in (*archived_topics(), DELETIONS))
    admin = AIOKafkaAdminClient(**aiokafka_arguments(settings))
    try:
        await admin.start()
        described = await admin.describe_topics(names)
    finally:
        await admin.close()
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    missing = [name for name in names if not counts.get(name)]
    if missing:
        raise UnusableTopics(f"topics are missing: {', '.join(missing)}; run storepulse topics")
    return int(min(counts.values()))  # the others wait for `storepulse topics grow`, as with workers
