"""The doctor: every check in both outcomes, and the whole of it against real services."""

import json
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from kafka import TopicPartition
from redis.exceptions import ReadOnlyError
from typer.testing import CliRunner

from connections.redis import open_redis
from connections.redis_troubles import redis_trouble
from contracts.blob_formats import LATER
from contracts.clock import wall_clock_ms
from contracts.dead_letters import DeadLetter
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from ops.cli import app
from ops.diagnosis.api import check_api, judge_api
from ops.diagnosis.checks import Check, Level, check_clock
from ops.diagnosis.doctor import (
    check_compiled,
    check_disk,
    check_java,
    check_machine,
    check_maven,
    check_package,
    check_python,
)
from ops.diagnosis.kafka import check_keeping, check_topics, check_transactions
from ops.diagnosis.outboxes import Waiting, check_outboxes, read_outboxes
from ops.diagnosis.redis import (
    check_eviction,
    check_lost,
    check_memory,
    check_persistence,
    check_quarantine,
    check_redis_version,
    check_waits,
    check_writes,
)
from ops.diagnosis.rejected import judge_rejected
from ops.diagnosis.services import check_services
from ops.diagnosis.webhooks import judge_webhooks
from producers.rejected import StoredLetter
from services import wait_until
from stream.compiled.guard import NotBuiltError, StaleError

TOPICS = Topics("x.")
NOW_MS = 1_760_000_000_000
EQUAL = dict.fromkeys((*TOPICS.partitioned, TOPICS.alerts, TOPICS.recommendations), 12) | {
    TOPICS.rejected: 1,
    TOPICS.models: 4,
}


def letter(code: str, rejected_ms: int) -> StoredLetter:
    return StoredLetter(DeadLetter(code, "", "view", 0, 1, None, None, rejected_ms), 0, 0)


@pytest.mark.parametrize(
    ("check", "level", "says"),
    [
        (check_python((3, 11)), Level.OK, ""),
        (check_python((3, 10)), Level.FAIL, "Python 3.11 or newer"),
        (check_package("aiokafka", "0.14.0", "0.14.0"), Level.OK, ""),
        (check_package("aiokafka", "0.14.0", "0.13.0"), Level.FAIL, "pip install aiokafka==0.14.0"),
        (check_package("aiokafka", "0.14.0", None), Level.FAIL, "pip install"),
        (check_compiled(None), Level.OK, ""),
        (check_compiled(NotBuiltError("not built")), Level.WARN, "install a C compiler"),
        (check_compiled(StaleError("of other sources")), Level.WARN, "make compile"),
        (check_java(17), Level.OK, ""),
        (check_java(11), Level.WARN, "Java 17"),
        (check_java(0), Level.WARN, "--broker embedded needs none"),
        (check_maven(None, False), Level.WARN, "install Maven"),
        (check_maven(None, True), Level.OK, ""),
        (check_disk(3 * 2**30, Path("s")), Level.OK, ""),
        (check_disk(1, Path("s")), Level.WARN, "--state"),
        (check_redis_version("6.2.14"), Level.OK, ""),
        (check_redis_version("10.0.1"), Level.OK, ""),
        (check_redis_version("5.0.7"), Level.FAIL, "6.2"),
        (check_eviction("noeviction"), Level.OK, ""),
        (check_eviction("allkeys-lru"), Level.FAIL, "CONFIG SET"),
        (check_persistence({"aof_enabled": 1}, embedded=False), Level.OK, ""),
        (check_persistence({"aof_enabled": 0}, embedded=True), Level.OK, ""),
        (check_persistence({"aof_enabled": 0}, embedded=False), Level.WARN, "appendonly"),
        (check_memory({"used_memory": 2**30}), Level.OK, ""),
        (check_memory({"used_memory": 2**20, "maxmemory": 2**30}), Level.OK, ""),
        (check_memory({"used_memory": 95, "maxmemory": 100}), Level.WARN, "raise maxmemory"),
        (check_memory({"used_memory": 101, "maxmemory": 100}), Level.FAIL, "raise maxmemory"),
        (check_writes(None), Level.OK, ""),
        (check_writes(redis_trouble(ReadOnlyError("no"))), Level.FAIL, "primary"),
        (check_waits([]), Level.OK, ""),
        (check_waits(["partition 3 waits: k holds a string"]), Level.FAIL, "rename or delete"),
        (check_waits([f"partition 3 waits: format 9: {LATER}"]), Level.FAIL, "upgrade the workers"),
        (check_outboxes({}), Level.OK, ""),
        (check_outboxes({3: Waiting(2, 900)}), Level.OK, ""),
        (check_outboxes({3: Waiting(2, 90_000)}), Level.FAIL, "worker's log"),
        (check_keeping({"x.view": "delete"}), Level.OK, ""),
        (
            check_keeping({"x.view": "delete", "x.cart": "compact,delete"}),
            Level.FAIL,
            "cleanup.policy=delete",
        ),
        (check_lost(0), Level.OK, ""),
        (check_lost(396), Level.WARN, "retention.ms"),
        (check_quarantine(0, "sp"), Level.OK, ""),
        (check_quarantine(2, "sp"), Level.WARN, "sp:*:quarantine:*"),
        (check_transactions({}), Level.OK, ""),
        (check_transactions({TopicPartition("view", 1): (7, 5.0)}), Level.OK, ""),
        (check_transactions({TopicPartition("view", 1): (7, 600.0)}), Level.WARN, "find-hanging"),
        (check_clock("redis", -20), Level.OK, ""),
        (check_clock("redis", -5_000), Level.WARN, "NTP"),
        (check_topics(EQUAL, TOPICS), Level.OK, ""),
        (check_topics(EQUAL | {"x.cart": 3}, TOPICS), Level.FAIL, "storepulse topics grow"),
        (check_topics({"x.cart": 3}, TOPICS), Level.FAIL, "storepulse topics"),
        (judge_webhooks(2, served=True), Level.OK, ""),
        (judge_webhooks(0, served=False), Level.OK, ""),
        (judge_webhooks(1, served=False), Level.FAIL, "storepulse deliver"),
        (judge_rejected([], now_ms=NOW_MS), Level.OK, ""),
        (judge_rejected([letter("x.y", NOW_MS - 86_400_001)], now_ms=NOW_MS), Level.OK, ""),
        (judge_rejected([letter("partition.not_of_key", NOW_MS)], now_ms=NOW_MS), Level.WARN, "murmur2"),
        (judge_rejected([letter("x.y", NOW_MS)], now_ms=NOW_MS), Level.WARN, "rejected ls"),
    ],
)
def test_check_says_how_it_is_and_what_to_do(check: Check, level: Level, says: str) -> None:
    assert check.level is level
    assert says in check.advice
    assert bool(check.advice) is (level is not Level.OK)


def part(status: str, detail: str = "") -> dict[str, str]:
    return {"status": status, "detail": detail}


def test_parts_that_the_api_says_are_not_well_are_checks() -> None:
    parts = {"redis": part("ok"), "model": part("degraded", "no visitor is scored"), "stream": part("down")}
    found = {check.name: check for check in judge_api("down", parts)}
    assert set(found) == {"api", "api: model", "api: stream"}
    assert (found["api: model"].level, found["api: model"].found) == (Level.WARN, "no visitor is scored")
    assert "STOREPULSE_MODEL_DIR" in found["api: model"].advice
    assert found["api: stream"].level is Level.FAIL
    [without_key] = judge_api("degraded", {})
    assert (without_key.level, "STOREPULSE_API_KEY" in without_key.advice) == (Level.WARN, True)
    [well] = judge_api("ok", {"redis": part("ok")})
    assert (well.level, well.advice) == (Level.OK, "")


def test_an_api_that_should_run_and_does_not_answer_fails() -> None:
    nobody = Settings(api_port=1)
    assert [check.level for check in check_api(nobody, required=True)] == [Level.FAIL]
    assert list(check_api(nobody, required=False)) == []


def test_this_machine_passes(tmp_path: Path) -> None:
    assert not [check for check in check_machine(tmp_path, running=False) if check.level is Level.FAIL]


def test_the_doctor_in_the_image_asks_for_nothing_to_start_a_stack_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/opt/storepulse")
    names = [check.name for check in check_machine(tmp_path, running=False)]
    assert names == ["python", "faust-streaming", "aiokafka", "compiled steps"]


def test_running_services_pass(installation: Settings) -> None:
    checks = list(check_services(installation, required=True))
    assert {check.name for check in checks} >= {
        "redis",
        "kafka",
        "topics",
        "event topics keep",
        "clock of redis",
    }
    assert not [check for check in checks if check.level is Level.FAIL]


def test_outboxes_that_hold_anything_are_read_with_the_age_of_the_oldest(installation: Settings) -> None:
    keys = Keys(installation.namespace, installation.partitions)
    with open_redis(installation, decode_responses=True) as client:
        seconds, _ = client.time()
        for place in ("0-1", f"{(seconds - 90) * 1_000}-0", "*"):
            client.xadd(keys.outbox(1), {"id": "a"}, id=place)
        client.xdel(keys.outbox(1), "0-1")
        client.set(keys.outbox(2), "no stream")
        [(partition, waiting)] = read_outboxes(client, keys).items()
    assert (partition, waiting.size) == (1, 2)
    assert 90_000 <= waiting.oldest_ms < 600_000


def keep_sent_times(bootstrap: str, topic: str) -> None:
    """Have the broker keep what the sender says was the time of a record, so that one can look old."""
    entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(30)


def test_a_transaction_that_is_left_open_is_named_until_it_ends(installation: Settings) -> None:
    def found() -> Check:
        return next(c for c in check_services(installation, required=True) if c.name == "open transactions")

    topic = Topics(installation.topic_prefix).events[0]
    keep_sent_times(installation.bootstrap, topic)
    producer = Producer(
        {
            "bootstrap.servers": installation.bootstrap,
            "transactional.id": f"{topic}-left-open",
            "transaction.timeout.ms": 600_000,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    now_ms = wall_clock_ms()
    producer.produce(topic, b"of a moment ago", partition=0, timestamp=now_ms)
    producer.produce(topic, b"of ten minutes ago", partition=1, timestamp=now_ms - 600_000)
    assert producer.flush(30) == 0
    open_for_long = found()
    assert open_for_long.level is Level.WARN
    assert f"{topic}[1] from 0 on for " in open_for_long.found
    assert f"{topic}[0]" not in open_for_long.found
    producer.abort_transaction(30)
    wait_until(lambda: found().level is Level.OK, 30, "the end of the transaction to be seen")


def test_absent_services_are_named_and_the_exit_code_is_1_only_when_they_should_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Settings(bootstrap="127.0.0.1:1", redis_url="redis://127.0.0.1:1/0")
    assert {check.level for check in check_services(absent, required=True)} == {Level.FAIL}
    monkeypatch.setenv("STOREPULSE_BOOTSTRAP", absent.bootstrap)
    monkeypatch.setenv("STOREPULSE_REDIS_URL", absent.redis_url)
    result = CliRunner().invoke(app, ["doctor", "--json", "--state", str(tmp_path)])
    assert result.exit_code == 0
    found = {check["name"]: check for check in json.loads(result.output)}
    assert found["redis"]["level"] == "warn"
    assert "127.0.0.1:1" in found["kafka"]["found"]
