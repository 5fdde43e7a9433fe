"""An installation gets more partitions: nothing it knows is lost, and what comes then is counted with it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Producer
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from redis import Redis

from connections.asyncio_redis import open_worker_redis
from connections.kafka import kafka_python_arguments
from connections.redis import open_redis
from connections.redis_health import RedisHealth
from contracts.clock import wall_clock_ms
from contracts.events import Event, encode
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from ops.audit import TotalsRules, differences, expected_of, has_settled, log_ends, read_state
from ops.audit.expected import COLUMNS
from ops.diagnosis.status import read_status
from ops.stack.growth import GrowthError, grow
from ops.stack.record import settings_environment
from ops.stack.topics import TopicsError, ensure_topics
from producers.sender import KafkaSender
from producers.simulator.simulation import SimulationConfig, simulate
from running_worker import running_worker
from services import wait_until
from shoppers import make_event
from stream.state.installation import MisfitError, join_installation

FEW, MANY = 4, 12


@pytest.fixture
def few(make_installation: Any) -> Settings:
    installed: Settings = make_installation(partitions=FEW, scoring=False)
    return installed


@pytest.fixture
def client(few: Settings) -> Iterator[Any]:
    with Redis.from_url(few.redis_url) as opened:
        yield opened


def shop_events(count: int) -> list[Event]:
    """Of the last minutes; the same visitors at their beginning and at their end."""
    end_ms = wall_clock_ms() - 1_000
    config = SimulationConfig(end_ms - 600_000, end_ms, rate=count / 600, visitors=200, shaped=False)
    return list(simulate(config, seed=3))


def apply(settings: Settings, events: Sequence[Event], client: Any, folder: Path) -> None:
    with running_worker(settings, folder) as worker:
        sender = KafkaSender(settings)
        for event in events:
            sender.send(event)
        sender.close()
        ends, keys = log_ends(settings), keys_of(settings)
        wait_until(
            lambda: has_settled(client, keys, ends, disorder_ms=settings.disorder_ms, live=False),
            60,
            f"the worker to apply everything; {worker.log_tail()}",
        )
        wait_until(lambda: has_rest(settings, client), 60, "what the worker sent itself to be applied too")


def has_rest(settings: Settings, client: Any) -> bool:
    """Whether nothing is on its way to a topic that workers read, or waits there."""
    keys = keys_of(settings)
    if any(client.xlen(keys.outbox(p)) for p in range(keys.partitions)):
        return False
    consumer = KafkaConsumer(**kafka_python_arguments(settings), metrics_enabled=False)
    topics = Topics(settings.topic_prefix).partitioned
    ends = consumer.end_offsets(
        [TopicPartition(topic, p) for topic in topics for p in range(keys.partitions)]
    )
    consumer.close()
    return all(
        int(client.hget(keys.meta(place.partition), f"off:{place.topic}") or 0) >= end
        for place, end in ends.items()
    )


def keys_of(settings: Settings) -> Keys:
    return Keys(settings.namespace, settings.partitions)


def frame_of(events: Sequence[Event]) -> pl.DataFrame:
    rows = [
        (
            event.event_id, event.event_type.value, event.event_time_ms, event.user_id, event.product_id,
            event.quantity, event.price_minor, event.currency, event.order_id, event.session_id,
        )
        for event in events
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def test_state_moves_and_later_events_go_on_with_it(few: Settings, client: Any, tmp_path: Path) -> None:
    events = shop_events(3_000)
    half = len(events) // 2
    apply(few, events[:half], client, tmp_path)
    orders = {key.decode().partition("}:order:")[2] for key in client.scan_iter(f"{few.namespace}:*order:*")}
    client.hset(keys_of(few).forgotten(1), "digest", 7)
    products = [f"product-{number}" for number in range(20)]
    for product in products:
        p = partition_of(product, FEW)
        client.set(keys_of(few).product(product), product)
        client.zadd(keys_of(few).catalogue_ids(p), {product: 0})
        client.hset(keys_of(few).catalogue_removed(p), product, "1 2")
    before = read_state(client, keys_of(few))

    many = few.model_copy(update={"partitions": MANY})
    grow(few, MANY)
    assert differences(before, read_state(client, keys_of(many))) == []
    assert [client.hget(keys_of(many).forgotten(p), "digest") for p in range(MANY)] == [b"7"] * MANY
    assert not list(client.scan_iter(f"{few.namespace}:{{growing}}:*"))
    assert orders
    for order in orders:
        home = keys_of(many).prefix(partition_of(order, MANY))
        assert client.exists(f"{home}order:{order}")

    for product in products:
        p = partition_of(product, MANY)
        assert client.get(keys_of(many).product(product)) == product.encode()
        assert client.zscore(keys_of(many).catalogue_ids(p), product) == 0
        assert client.hget(keys_of(many).catalogue_removed(p), product) == b"1 2"
        client.delete(keys_of(many).product(product))
    assert sum(client.zcard(keys_of(many).catalogue_ids(p)) for p in range(MANY)) == len(products)
    for p in range(MANY):
        client.delete(keys_of(many).catalogue_removed(p), keys_of(many).catalogue_ids(p))

    for p in range(MANY):
        client.hdel(keys_of(many).forgotten(p), "digest")
    apply(many, events[half:], client, tmp_path)
    expected = expected_of(frame_of(events), TotalsRules.of(many, live=False))
    assert differences(expected, read_state(client, keys_of(many))) == []


async def test_an_interrupted_run_goes_on_and_no_worker_starts_meanwhile(
    few: Settings, client: Any, tmp_path: Path
) -> None:
    apply(few, shop_events(600), client, tmp_path)
    before = read_state(client, keys_of(few))
    steps: list[str] = []

    def interrupt(step: str, _: int) -> None:
        steps.append(step)
        if len(steps) <= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grow(few, MANY, interrupt)
    redis = open_worker_redis(few)
    with pytest.raises(MisfitError, match=f"STOREPULSE_PARTITIONS={FEW} storepulse topics grow {MANY}"):
        await join_installation(redis, keys_of(few), RedisHealth())
    await redis.aclose()
    with pytest.raises(GrowthError, match=f"from {FEW} to {MANY} partitions was interrupted"):
        grow(few, MANY + 1)
    with pytest.raises(KeyboardInterrupt):
        grow(few, MANY, interrupt)
    grow(few, MANY, interrupt)
    assert differences(before, read_state(client, Keys(few.namespace, MANY))) == []


def test_what_is_not_applied_yet_keeps_it_from_growing(few: Settings) -> None:
    sender = KafkaSender(few)
    for event in shop_events(60):
        sender.send(event)
    sender.close()
    with pytest.raises(GrowthError, match="records are not applied yet"):
        grow(few, MANY)
    with pytest.raises(GrowthError, match="can only grow, got 4"):
        grow(few, FEW)


def test_a_topic_that_grew_alone_loses_nothing(few: Settings, client: Any, tmp_path: Path) -> None:
    """Somebody adds partitions to one topic while a worker runs, and other producers use them at once."""
    topic = Topics(few.topic_prefix).events[2]
    events = shop_events(1_000)
    half = len(events) // 2
    apply(few, events[:100], client, tmp_path)
    with KafkaAdminClient(**kafka_python_arguments(few)) as admin:
        admin.create_partitions({topic: 2 * FEW})
    apply(few, events[100:half], client, tmp_path)

    now_ms = wall_clock_ms()
    buyers = [
        make_event("purchase", n, f"p{n}", user=f"buyer-{n}", event_time_ms=now_ms + n) for n in range(100)
    ]
    producer = Producer({"bootstrap.servers": few.bootstrap, "partitioner": "murmur2_random"})
    for event in buyers:
        producer.produce(topic, key=event.user_id, value=encode(event))
    assert producer.flush(30) == 0
    elsewhere = sum(
        partition_of(event.user_id, 2 * FEW) != partition_of(event.user_id, FEW)
        and partition_of(event.user_id, 2 * FEW) < FEW
        for event in buyers
    )
    unread = sum(partition_of(event.user_id, 2 * FEW) >= FEW for event in buyers)
    assert unread > 20
    with running_worker(few, tmp_path):
        applied = half + len(buyers) - unread - elsewhere
        wait_until(
            lambda: read_state(client, keys_of(few)).counters["applied"] == applied, 30, "what can be read"
        )
    with (
        KafkaAdminClient(**kafka_python_arguments(few)) as admin,
        open_redis(few, decode_responses=True) as texts,
    ):
        assert read_status(few, admin, texts).beyond == unread
    assert ensure_topics(few.model_copy(update={"partitions": MANY})) == FEW  # so that `up` starts
    with pytest.raises(TopicsError, match="equal partition counts"):
        ensure_topics(few.model_copy(update={"namespace": "without-state"}))

    grow(few, 2 * FEW)
    grown = few.model_copy(update={"partitions": 2 * FEW})
    apply(grown, events[half:], client, tmp_path)
    expected = expected_of(frame_of([*events, *buyers]), TotalsRules.of(grown, live=False))
    expected.counters["rejected"] = elsewhere
    assert differences(expected, read_state(client, keys_of(grown))) == []


def test_a_worker_that_counts_partitions_otherwise_ends_with_a_word(
    few: Settings, client: Any, tmp_path: Path
) -> None:
    apply(few, shop_events(60), client, tmp_path)
    env = os.environ | settings_environment(few) | {"STOREPULSE_PARTITIONS": str(MANY)}
    argv = [sys.executable, "-P", "-m", "ops.cli", "worker"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78
    assert (
        f"Redis holds the state of {FEW} partitions, STOREPULSE_PARTITIONS says {MANY}"
        in done.stdout + done.stderr
    )
