"""The Kafka producer of the API: it puts records where the stream looks, and can be given up."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer, TopicPartition

from contracts.partitioning import hash_of

Headers = list[tuple[str, bytes]]
"""Of Kafka records."""


class Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """One for many requests at once; all of it is lost with one failure.

    It uses as many partitions of a topic as the installation has, though somebody may have added some: what
    lies in others is read when the installation has grown.
    """

    def __init__(self, *, partitions: int, request_timeout_ms: int, **options: object) -> None:
        super().__init__(request_timeout_ms=request_timeout_ms, **options)
        self._partitions = partitions
        self._patience_s = request_timeout_ms / 1_000
        self._places: dict[str, tuple[TopicPartition, ...]] = {}

    async def put(
        self, topic: str, key: str, value: bytes, headers: Headers, now_ms: int
    ) -> asyncio.Future[object]:
        """The acknowledgement to wait for; raises `KafkaError` if there is no room or no such topic.

        The same as `send`, without asking again for every record what does not change: which partitions the
        topic has, and which of them the key goes to. Half the time of a request went there.
        """
        places = self._places.get(topic) or await self._find_places(topic)
        ack: asyncio.Future[object] = await self._message_accumulator.add_message(
            places[hash_of(key) % len(places)],
            key.encode(),
            value,
            self._patience_s,
            timestamp_ms=now_ms,
            headers=headers,
        )
        return ack

    async def put_all(
        self, topic: str, records: Iterable[tuple[str, bytes]], now_ms: int
    ) -> list[asyncio.Future[object]]:
        """The acknowledgements to wait for of records, each a key and a value; raises as `put` does.

        For many at once: they are put together by partition here, and have no acknowledgement each.
        """
        places = self._places.get(topic) or await self._find_places(topic)
        by_place: dict[TopicPartition, list[tuple[bytes, bytes]]] = {}
        for key, value in records:
            by_place.setdefault(places[hash_of(key) % len(places)], []).append((key.encode(), value))
        acks: list[asyncio.Future[object]] = []
        for place, own in by_place.items():
            batch = self.create_batch()
            for name, value in own:
                if batch.append(timestamp=now_ms, key=name, value=value) is None:  # it is full
                    acks.append(await self.send_batch(batch, topic, partition=place.partition))
                    batch = self.create_batch()
                    batch.append(timestamp=now_ms, key=name, value=value)
            acks.append(await self.send_batch(batch, topic, partition=place.partition))
        return acks

    async def abandon(self) -> None:
        """Ends like `stop`, without sending what it still holds; acknowledgements of that never come.

        `stop` would wait as long as Kafka is away, for an idempotent producer never gives up.
        """
        self._closed = True
        await self._sender.close()
        await self.client.close()

    async def _find_places(self, topic: str) -> tuple[TopicPartition, ...]:
        numbers = sorted(await self.partitions_for(topic))[: self._partitions]
        places = self._places[topic] = tuple(TopicPartition(topic, number) for number in numbers)
        return places
