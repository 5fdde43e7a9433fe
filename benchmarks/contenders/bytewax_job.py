"""The same job on bytewax: keyed state per visitor, and a sink that writes a MULTI pipeline per batch."""

from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSourceMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from benchmarks.contenders.session_job import Fields, RedisWriter, Step, advance
from contracts.settings import Settings
from contracts.topics import Topics

Parsed = tuple[str, int, int, Fields]
"""Topic, partition, offset and the event's fields."""


class _Partition(StatelessSinkPartition[tuple[str, Step]]):
    def __init__(self, settings: Settings) -> None:
        self._writer = RedisWriter(settings)
        self._writer.start()  # source and sink are built together

    def write_batch(self, items: list[tuple[str, Step]]) -> None:
        self._writer.write([step for _, step in items])


class RedisSink(DynamicSink[tuple[str, Step]]):
    """Writes steps to Redis, a batch at a time as bytewax hands them on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> _Partition:
        """One writer per bytewax worker."""
        return _Partition(self._settings)


def make_flow(settings: Settings) -> Dataflow:
    """Kafka, JSON, state by visitor, Redis."""

    def parse(message: KafkaSourceMessage[Any, Any]) -> tuple[str, Parsed]:
        event = orjson.loads(message.value)
        return event["user_id"], (message.topic or "", message.partition or 0, message.offset or 0, event)

    def step(state: Fields | None, parsed: Parsed) -> tuple[Fields, Step]:
        after = advance(state, parsed[3], settings.idle_ms)
        return after, Step(*parsed, after)

    flow = Dataflow("shop")
    topics = list(Topics(settings.topic_prefix).events)
    source = kafka.input("in", flow, brokers=[settings.bootstrap], topics=topics, batch_size=5_000)
    keyed = op.map("parse", source.oks, parse)
    op.output("out", op.stateful_map("session", keyed, step), RedisSink(settings))
    return flow


if __name__ == "__main__":
    run_main(make_flow(Settings()))  # type: ignore[no-untyped-call]  # compiled, without types
