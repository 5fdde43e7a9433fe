"""Where the logs of events end in Kafka, asked on a connection of its own that is made when first needed."""

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from connections.kafka import aiokafka_reader_arguments
from connections.tls import CertificateError
from contracts.settings import Settings

LIMIT_S = 0.5
"""An answer to somebody who waits needs it; without it the answer says less."""
FIRST_LIMIT_S = 2.0
"""For the connection too."""
RETRY_S = 5.0

Place = tuple[str, int]
"""Topic and partition."""


class EndsUnknown(RuntimeError):
    """Kafka does not say in time."""


class LogEnds:
    """Asks Kafka; after a failure not again for `RETRY_S`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._not_before_s = float("-inf")

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Offset behind the last record that readers see; raises `EndsUnknown`."""
        return await self._ask("end_offsets", places)

    async def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        """Offset of the oldest record that is kept; raises `EndsUnknown`."""
        return await self._ask("beginning_offsets", places)

    async def close(self) -> None:
        """Leaves Kafka."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def _ask(self, method: str, places: Iterable[Place]) -> dict[Place, int]:
        if time.monotonic() < self._not_before_s:
            raise EndsUnknown("Kafka has not answered recently")
        try:
            async with asyncio.timeout(FIRST_LIMIT_S if self._consumer is None else LIMIT_S):
                consumer = self._consumer or await self._connect()
                found = await getattr(consumer, method)([TopicPartition(*place) for place in places])
        except (KafkaError, OSError, CertificateError) as exc:  # TimeoutError is an OSError
            self._not_before_s = time.monotonic() + RETRY_S
            await self.close()
            raise EndsUnknown(f"cannot read the end offsets from Kafka: {exc!r}") from exc
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**aiokafka_reader_arguments(self._settings))
        try:
            await consumer.start()
            self._consumer = consumer
        finally:
            if self._consumer is None:
                await consumer.stop()
        return consumer
