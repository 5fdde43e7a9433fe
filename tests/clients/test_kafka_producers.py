"""Every event that another Kafka client sends is counted once, or is a dead letter with its reason."""

from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer

from client_shop import Shop, lack_tool, run
from contracts.clock import wall_clock_ms
from ops.diagnosis.rejected import check_rejected
from services import wait_until

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
COUNT = 1_000
USERS = 50

pytestmark = pytest.mark.slow


def event(name: str, number: int) -> bytes:
    return orjson.dumps(
        {
            "event_id": f"{name}-{number}",
            "event_type": "view",
            "event_time": wall_clock_ms(),
            "user_id": f"{name}-{number % USERS}",
            "product_id": name,
        }
    )


def send_with_confluent(shop: Shop, codec: str, name: str, **settings: str) -> None:
    config = {"bootstrap.servers": shop.settings.bootstrap, "compression.type": codec, "linger.ms": "50"}
    producer = Producer(config | settings)
    for number in range(COUNT):
        key, headers = f"{name}-{number % USERS}", [("client_id", name.encode())]
        producer.produce(shop.topic, key=key, value=event(name, number), headers=headers)
    assert producer.flush(30) == 0


@pytest.mark.parametrize("codec", CODECS)
def test_librdkafka_with_the_partitioner_of_kafka(shop: Shop, codec: str) -> None:
    name = f"confluent-{codec}"
    send_with_confluent(shop, codec, name, partitioner="murmur2_random")
    shop.await_views(name, COUNT)
    assert shop.rejected(name) == {}


def test_what_librdkafka_puts_into_other_partitions_is_rejected(shop: Shop) -> None:
    """Its own default is crc32."""
    name = "confluent-crc32"
    send_with_confluent(shop, "none", name)
    wait_until(
        lambda: shop.views(name) + sum(shop.rejected(name).values()) >= COUNT, 30, "events to be judged"
    )
    rejected = shop.rejected(name)
    assert set(rejected) == {"partition.not_of_key"}
    assert shop.views(name) == COUNT - rejected["partition.not_of_key"]
    assert shop.views(name) < COUNT / 2
    check = check_rejected(shop.settings)
    assert f"by kafka {name})" in check.found
    assert "set Kafka's default partitioner (murmur2) in the producer" in check.advice


@pytest.mark.parametrize("codec", CODECS)
def test_kcat(shop: Shop, codec: str, tmp_path: Path) -> None:
    lack_tool("kcat")
    name = f"kcat-{codec}"
    lines = tmp_path / "events"
    lines.write_bytes(
        b"".join(b"%s-%d\t%s\n" % (name.encode(), n % USERS, event(name, n)) for n in range(COUNT))
    )
    run([
        "kcat", "-P", "-b", shop.settings.bootstrap, "-t", shop.topic, "-K", "\t", "-z", codec,
        "-X", "partitioner=murmur2_random", "-l", str(lines),
    ])  # fmt: skip
    shop.await_views(name, COUNT)


@pytest.mark.parametrize("codec", CODECS)
def test_kafkajs(shop: Shop, kafkajs: Path, codec: str) -> None:
    name = f"kafkajs-{codec}"
    run(["node", "send.js", shop.settings.bootstrap, shop.topic, codec, name, str(COUNT)], kafkajs)
    shop.await_views(name, COUNT)


@pytest.mark.parametrize("codec", CODECS)
def test_franz_go(shop: Shop, go_senders: Path, codec: str) -> None:
    name = f"franz-{codec}"
    run([str(go_senders / "franz"), shop.settings.bootstrap, shop.topic, codec, name, str(COUNT)])
    shop.await_views(name, COUNT)


@pytest.mark.parametrize("codec", CODECS)
def test_sarama_with_the_partitioner_of_the_documentation(shop: Shop, go_senders: Path, codec: str) -> None:
    name = f"sarama-{codec}-murmur2"
    run([str(go_senders / "sarama"), shop.settings.bootstrap, shop.topic, codec, name, str(COUNT)])
    shop.await_views(name, COUNT)


def test_what_sarama_puts_into_other_partitions_is_rejected(shop: Shop, go_senders: Path) -> None:
    name = "sarama-plain"
    run([str(go_senders / "sarama"), shop.settings.bootstrap, shop.topic, "snappy", name, str(COUNT)])
    wait_until(
        lambda: shop.views(name) + sum(shop.rejected(name).values()) >= COUNT, 30, "events to be judged"
    )
    assert set(shop.rejected(name)) == {"partition.not_of_key"}
    assert shop.views(name) == COUNT - shop.rejected(name)["partition.not_of_key"]


def send_with_java(shop: Shop, java_path: str, codec: str, name: str) -> None:
    run(["java", "-cp", java_path, "Send", shop.settings.bootstrap, shop.topic, codec, name, str(COUNT)])


@pytest.mark.parametrize("codec", CODECS)
def test_java(shop: Shop, java_path: str, codec: str) -> None:
    name = f"java-{codec}"
    send_with_java(shop, java_path, codec, name)
    shop.await_views(name, COUNT)


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_java_in_transactions(shop: Shop, java_path: str, codec: str) -> None:
    name = f"java-{codec}-tx"
    send_with_java(shop, java_path, codec, name)
    shop.await_views(name, COUNT)
    shop.await_ends()
    assert shop.views(name) == COUNT, "aborted events are not counted"


def transaction(shop: Shop, name: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": shop.settings.bootstrap,
            "partitioner": "murmur2_random",
            "transactional.id": name,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(USERS):
        producer.produce(shop.topic, key=f"{name}-{number}", value=event(name, number))
    producer.flush(30)
    return producer


def test_a_commit_marker_leaves_no_lag(shop: Shop) -> None:
    transaction(shop, "committed").commit_transaction(30)
    shop.await_views("committed", USERS)
    shop.await_ends()


def test_aborted_events_are_not_counted_and_leave_no_lag(shop: Shop) -> None:
    transaction(shop, "aborted").abort_transaction(30)
    shop.await_ends()
    assert shop.views("aborted") == 0


def test_an_open_transaction_holds_its_events_back_and_nothing_stalls(shop: Shop) -> None:
    producer = transaction(shop, "open")
    send_with_confluent(shop, "none", "before-open", partitioner="murmur2_random")
    producer.commit_transaction(30)
    shop.await_views("open", USERS)
    shop.await_views("before-open", COUNT)
    assert shop.worker.alive


@pytest.mark.parametrize("topic", ["orders", "customers", "deletions"])
def test_transactions_in_topics_beside_the_events_leave_no_lag(shop: Shop, topic: str) -> None:
    producer = Producer({"bootstrap.servers": shop.settings.bootstrap, "transactional.id": f"beside-{topic}"})
    producer.init_transactions(30)
    named = shop.settings.topic_prefix + topic
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        for p in range(shop.settings.partitions):
            producer.produce(named, key="1", value=b"[]", partition=p)
        producer.flush(30)
        end(30)
    shop.await_ends(named)
