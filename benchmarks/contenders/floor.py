"""The floor: aiokafka's `getmany` and `orjson.loads`, nothing else."""

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.contenders.counting import Count
from contracts.settings import Settings
from contracts.topics import Topics


async def consume(settings: Settings) -> None:
    """Read and parse everything until the process is killed."""
    consumer = AIOKafkaConsumer(
        *Topics(settings.topic_prefix).events,
        bootstrap_servers=settings.bootstrap,
        group_id=settings.group,
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        max_partition_fetch_bytes=1 << 20,
    )
    await consumer.start()
    count = Count(settings)
    count.start()
    while True:
        for records in (await consumer.getmany(timeout_ms=200, max_records=5_000)).values():
            for record in records:
                orjson.loads(record.value)
            count.add(len(records))
        count.close()


if __name__ == "__main__":
    uvloop.run(consume(Settings()))
