"""The topics of one installation: created once, and checked to be co-partitioned."""

import logging
import time

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError

from connections.kafka import kafka_python_arguments
from connections.kafka_check import require_kafka_now
from connections.kafka_troubles import kafka_trouble
from connections.troubles import ConnectionRefused
from contracts.extensions import load_contracts
from contracts.settings import Settings
from contracts.topics import Topics
from ops.stack.ports import is_open
from producers.installation import recorded_partitions

RETENTION_MS = 7 * 86_400_000
"""As long as visitor state lives: whatever Redis may have to replay is still there."""

REJECTED_RETENTION_MS = 30 * 86_400_000

_log = logging.getLogger(__name__)


class TopicsError(RuntimeError):
    """The topics cannot be used as they are; the message says which and why."""


def ensure_topics(settings: Settings, *, embedded: bool = False, timeout_s: float = 30.0) -> int:
    """Create the topics that are missing and return the partition count of those workers read.

    An existing count wins over `settings.partitions`; where somebody gave single topics more, it is that of
    the workers' state, if Redis says so. The embedded broker has no admin part: it makes topics
    when a producer asks about them. Raises `TopicsError` when those topics differ in their counts, a
    topic cannot be made, or no broker answers.
    """
    load_contracts(settings)  # which may register topics
    topics = Topics(settings.topic_prefix)
    try:
        if embedded:
            return check_counts(_touch(settings, topics))
        with open_admin(settings) as admin:
            _create_missing(admin, topics, settings)
            return _await_counts(admin, topics, settings, timeout_s)
    except ConnectionRefused as exc:
        raise TopicsError(str(exc)) from exc
    except KafkaError as exc:
        raise TopicsError(
            f"the topics on {settings.bootstrap} could not be created or read: {_reason(exc)}"
        ) from exc


def open_admin(settings: Settings) -> KafkaAdminClient:
    """A connected admin client, to be used as a context manager.

    Raises `KafkaError` if no broker answers, `ConnectionRefused` if it will not let us in.
    """
    # The client would try for 10 s where nothing listens, and leave the sockets of its tries open.
    if not any(_listens(address) for address in settings.bootstrap.split(",")):
        raise KafkaConnectionError(f"nothing listens at {settings.bootstrap}")
    require_kafka_now(settings)
    try:
        return KafkaAdminClient(
            **kafka_python_arguments(settings),
            request_timeout_ms=10_000,
            bootstrap_timeout_ms=10_000,
        )
    except KafkaError:
        require_kafka_now(settings, after_failure=True)
        raise


def _reason(exc: KafkaError) -> str:
    trouble = kafka_trouble(exc)
    return str(trouble) if trouble.is_refusal else str(exc)


def partition_counts(admin: KafkaAdminClient, names: tuple[str, ...]) -> dict[str, int]:
    """Partitions per topic, of those topics that exist with a leader for each partition."""
    found = {}
    for topic in admin.describe_topics(list(names)):
        parts = topic["partitions"]
        if not topic["error_code"] and parts and all(part["leader_id"] >= 0 for part in parts):
            found[topic["name"]] = len(parts)
    return found


def check_counts(counts: dict[str, int]) -> int:
    """The one partition count of the topics workers read; raises `TopicsError` when they differ."""
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
        raise TopicsError(f"the event topics must have equal partition counts, found {listed}")
    return next(iter(counts.values()))


def delete_topics(settings: Settings) -> None:
    """Delete every topic of the installation that exists."""
    load_contracts(settings)
    with open_admin(settings) as admin:
        existing = set(admin.list_topics()) & set(Topics(settings.topic_prefix).all)
        if existing:
            admin.delete_topics(sorted(existing))


def _create_missing(admin: KafkaAdminClient, topics: Topics, settings: Settings) -> None:
    existing = set(admin.list_topics())
    counts = partition_counts(admin, tuple(existing & set(topics.partitioned)))
    partitions = _common_count(counts, settings) if counts else settings.partitions
    for name in topics.all:
        if name in existing:
            continue
        spec = {
            "num_partitions": 1 if name in (topics.rejected, topics.models) else partitions,
            "replication_factor": settings.replication,
            "configs": {
                **_keeping(name, topics),
                # The broker says when a record came: delays and impossible times are judged by one clock.
                "message.timestamp.type": "LogAppendTime",
            },
        }
        try:
            admin.create_topics({name: spec})
        except TopicAlreadyExistsError:
            _log.info("topic %s was created by another process", name)


def _keeping(name: str, topics: Topics) -> dict[str, str]:
    """What of a topic the broker keeps: the newest deletion or snapshot of each key, all steps of models, and
    of anything else what is young."""
    if name == topics.models:
        return {"retention.ms": "-1"}
    if name == topics.recommendations:  # of visitors who act no more, too
        return {"cleanup.policy": "compact,delete", "retention.ms": str(RETENTION_MS)}
    if name == topics.deletions or name in topics.outputs:
        return {"cleanup.policy": "compact"}
    return {"retention.ms": str(REJECTED_RETENTION_MS if name == topics.rejected else RETENTION_MS)}


def _listens(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    return port.isdecimal() and is_open(host.strip("[]"), int(port), timeout_s=3.0)


def _touch(settings: Settings, topics: Topics) -> dict[str, int]:
    producer = KafkaProducer(**kafka_python_arguments(settings))
    try:
        counts = {name: len(producer.partitions_for(name)) for name in topics.all}
    finally:
        producer.close()
    return {name: counts[name] for name in topics.partitioned}


def _common_count(counts: dict[str, int], settings: Settings) -> int:
    """The one count of these topics, or where single topics were given more, that of the workers' state."""
    try:
        return check_counts(counts)
    except TopicsError:
        recorded = recorded_partitions(settings)
        if recorded is None or recorded > min(counts.values()):
            raise
    return recorded


def _await_counts(admin: KafkaAdminClient, topics: Topics, settings: Settings, timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    while True:
        counts = partition_counts(admin, topics.all)
        missing = sorted(set(topics.all) - counts.keys())
        if not missing:
            counts = {name: counts[name] for name in topics.partitioned}
            return _say_uneven(counts, _common_count(counts, settings))
        if time.monotonic() > deadline:
            raise TopicsError(f"topics without a leader after {timeout_s:.0f} s: {', '.join(missing)}")
        time.sleep(0.1)


def _say_uneven(counts: dict[str, int], common: int) -> int:
    """The common count; a warning names the topics that have more."""
    more = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()) if count > common)
    if more:
        _log.warning(
            "the installation has %d partitions, but %s: records in the others wait until "
            "`storepulse topics grow %d`",
            common,
            more,
            max(counts.values()),
        )
    return common
