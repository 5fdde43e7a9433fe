"""The services the project starts: Kafka, the embedded broker, Redis, and their children's end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer
from redis import Redis

from contracts.settings import Settings
from contracts.topics import Topics
from ops.stack.broker import KafkaBroker, new_cluster_id
from ops.stack.child import LARGEST_LOG_BYTES, Child, StartError
from ops.stack.embedded_broker import KAFKA_API
from ops.stack.guard import read_groups
from ops.stack.redis_server import RedisServer
from ops.stack.topics import TopicsError, check_counts, ensure_topics
from services import unique_settings, wait_until


def read_values(bootstrap: str, topic: str, count: int, api: tuple[int, int] | None = None) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, api_version=api, auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    try:
        # Subscribed only when connected: kafka-python 3.0.12 may otherwise never ask for the partitions.
        consumer.topics()
        consumer.subscribe([topic])
        return [next(consumer).value for _ in range(count)]
    finally:
        consumer.close()


def send_values(bootstrap: str, topic: str, values: list[bytes], api: tuple[int, int] | None = None) -> None:
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, api_version=api, acks="all", enable_idempotence=True
    )
    for value in values:
        producer.send(topic, value, key=b"k").get(20)
    producer.close()


def test_kafka_keeps_its_records_over_kill_9(private_kafka: KafkaBroker) -> None:
    settings = unique_settings(private_kafka.bootstrap, "redis://unused:1/0", partitions=3)
    topic = Topics(settings.topic_prefix).events[0]
    assert ensure_topics(settings) == 3
    send_values(private_kafka.bootstrap, topic, [b"before"])
    private_kafka.kill()
    private_kafka.restart()
    send_values(private_kafka.bootstrap, topic, [b"after"])
    assert read_values(private_kafka.bootstrap, topic, 2) == [b"before", b"after"]


def test_existing_partition_count_wins_over_the_setting(installation: Settings) -> None:
    assert installation.partitions == 12
    assert ensure_topics(installation.model_copy(update={"partitions": 3})) == 12


def test_unequal_partition_counts_are_refused() -> None:
    with pytest.raises(TopicsError, match="equal partition counts, found cart: 3, view: 4"):
        check_counts({"view": 4, "cart": 3})


def test_embedded_broker_serves_kafka_python(embedded_installation: Settings) -> None:
    assert embedded_installation.partitions == 4
    assert embedded_installation.kafka_api == KAFKA_API
    topic = Topics(embedded_installation.topic_prefix).events[1]
    api = embedded_installation.kafka_api_version
    send_values(embedded_installation.bootstrap, topic, [b"1", b"2"], api)
    assert read_values(embedded_installation.bootstrap, topic, 2, api) == [b"1", b"2"]


async def test_embedded_broker_serves_aiokafka(embedded_installation: Settings) -> None:
    topic = Topics(embedded_installation.topic_prefix).events[2]
    producer = AIOKafkaProducer(bootstrap_servers=embedded_installation.bootstrap)
    await producer.start()
    await producer.send_and_wait(topic, b"1", key=b"k")
    await producer.stop()
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=embedded_installation.bootstrap,
        group_id=embedded_installation.group,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), 20)
    finally:
        await consumer.stop()
    assert record.value == b"1"


def test_redis_keeps_what_it_answered_over_kill_9(private_redis: RedisServer) -> None:
    with Redis.from_url(private_redis.url, decode_responses=True) as client:
        client.set("k", "answered")
        private_redis.kill()
        private_redis.restart()
        assert client.get("k") == "answered"


def test_redis_rewrites_its_log_seldom_and_evicts_nothing(private_redis: RedisServer) -> None:
    with Redis.from_url(private_redis.url, decode_responses=True) as client:
        options = client.config_get("*")  # Redis 6 takes one pattern
    assert int(options["auto-aof-rewrite-min-size"]) == 512 * 2**20
    assert options["maxmemory-policy"] == "noeviction"
    assert options["hash-max-ziplist-entries"] == "128"


def test_redis_comes_back_older_from_a_copy_of_its_files(private_redis: RedisServer, tmp_path: Path) -> None:
    with Redis.from_url(private_redis.url, decode_responses=True) as client:
        client.set("k", "old")
        wait_until(
            lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0, 10, "the append-only file"
        )
        private_redis.copy_data(tmp_path / "copy")
        client.set("k", "new")
        with pytest.raises(RuntimeError, match="stop or kill Redis"):
            private_redis.restore_data(tmp_path / "copy")
        private_redis.kill()
        private_redis.restore_data(tmp_path / "copy")
        private_redis.restart()
        assert client.get("k") == "old"


def test_child_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    child = Child("brief", [sys.executable, "-c", "raise SystemExit('no luck')"], tmp_path / "log")
    child.start()
    with pytest.raises(StartError, match=r"(?s)brief ended with exit code 1.*no luck"):
        child.await_ready(lambda: False, 20)


def test_large_log_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    child = Child("brief", [sys.executable, "-c", "print('again')"], tmp_path / "log")
    child.log_path.write_bytes(b"x" * (LARGEST_LOG_BYTES + 1))
    child.start()
    wait_until(lambda: not child.alive, 20, "its end")
    assert child.log_path.read_text() == "again\n"
    assert (tmp_path / "log.1").stat().st_size == LARGEST_LOG_BYTES + 1


def test_absent_program_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot run 'no-such-program'"):
        Child("absent", ["no-such-program"], tmp_path / "log").start()


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from ops.stack.child import Child
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        child = Child("sleeper", sleep, Path({str(tmp_path)!r}, "log"))
        child.start()
        print(child.pid, flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        assert psutil.pid_exists(child_pid)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not psutil.pid_exists(child_pid), 20, "the orphan's end")


def test_guard_forgets_groups_that_were_removed() -> None:
    assert read_groups(["+5\n", "+7\n", "-5\n", "+9\n"]) == [7, 9]


def test_cluster_ids_look_as_kafka_wants_them() -> None:
    ids = {new_cluster_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(i) == 22 and not i.startswith("-") for i in ids)
