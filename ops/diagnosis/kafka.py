"""The doctor's checks of Kafka: whether it lets us in, the topics, transactions that were left open."""

from collections.abc import Iterator, Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError
from kafka.protocol.consumer import IsolationLevel

from connections.kafka import kafka_python_arguments
from connections.kafka_troubles import kafka_trouble
from connections.tls import CertificateError
from connections.troubles import ConnectionRefused
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from contracts.topics import Topics
from ops.diagnosis.checks import Check, Level
from ops.diagnosis.redis import judge_trouble
from ops.diagnosis.rejected import check_rejected
from ops.stack.topics import TopicsError, check_counts, open_admin, partition_counts

LONG_OPEN_S = 60.0
"""A transaction that is open for longer was probably left so; until it ends, nothing behind it is read."""
MOST_SHOWN = 3
"""Partitions that are named one by one."""
GROW = "`storepulse topics grow` makes them equal; records in partitions that not all have wait until then"
_POLL_MS = 5_000

Open = Mapping[TopicPartition, tuple[int, float]]
"""Offset of the first record of an open transaction, and how many seconds ago it was written."""


def check_kafka(settings: Settings, absent: Check) -> Iterator[Check]:
    """Every check of the Kafka in the settings; `absent` is that of one that does not answer."""
    try:
        with open_admin(settings) as admin:
            yield from _check(settings, admin)
    except CertificateError as exc:
        yield Check("kafka", Level.FAIL, "not asked", str(exc))
    except ConnectionRefused as exc:
        yield judge_trouble("kafka", settings.bootstrap, exc.trouble, absent)
    except KafkaError as exc:
        yield judge_trouble("kafka", settings.bootstrap, kafka_trouble(exc), absent)


def check_topics(counts: dict[str, int], topics: Topics) -> Check:
    """All topics there, and co-partitioned?"""
    missing = sorted(set(topics.all) - counts.keys())
    if missing:
        return Check(
            "topics", Level.FAIL, f"missing: {', '.join(missing)}", "create them with `storepulse topics`"
        )
    try:
        count = check_counts({name: counts[name] for name in topics.partitioned})
    except TopicsError as exc:
        return Check("topics", Level.FAIL, str(exc), GROW)
    return Check("topics", Level.OK, f"{', '.join(topics.partitioned)} with {count} partitions each")


def check_keeping(policies: Mapping[str, str]) -> Check:
    """Does Kafka keep every event until it is old? `policies` are the topics' `cleanup.policy`."""
    compacted = sorted(name for name, policy in policies.items() if "compact" in policy)
    if not compacted:
        return Check("event topics keep", Level.OK, "every event until it is old")
    return Check(
        "event topics keep",
        Level.FAIL,
        f"only the newest event of each visitor: {', '.join(compacted)}",
        "set cleanup.policy=delete: what a worker that is behind has not read disappears unnoticed",
    )


def check_transactions(found: Open) -> Check:
    """Transactions of producers that were left open, behind which nothing is read?"""
    long_open = {tp: (offset, age_s) for tp, (offset, age_s) in found.items() if age_s > LONG_OPEN_S}
    if not long_open:
        return Check("open transactions", Level.OK, "none open for long")
    oldest = sorted(long_open.items(), key=lambda place: -place[1][1])
    places = ", ".join(
        f"{tp.topic}[{tp.partition}] from {offset} on for {age_s:,.0f} s"
        for tp, (offset, age_s) in oldest[:MOST_SHOWN]
    )
    if len(oldest) > MOST_SHOWN:
        places += f" and {len(oldest) - MOST_SHOWN} more partitions"
    advice = (
        "stop or restart their producer; `kafka-transactions.sh find-hanging` and `abort` end what remains"
    )
    return Check("open transactions", Level.WARN, places, advice)


def _check(settings: Settings, admin: KafkaAdminClient) -> Iterator[Check]:
    brokers = admin.describe_cluster()["brokers"]
    yield Check(
        "kafka", Level.OK, f"{len(brokers)} broker{'s' * (len(brokers) != 1)} at {settings.bootstrap}"
    )
    topics = Topics(settings.topic_prefix)
    existing = set(admin.list_topics()) & set(topics.all)
    counts = partition_counts(admin, tuple(existing)) if existing else {}
    yield check_topics(counts, topics)
    if topics.rejected in existing:
        yield check_rejected(settings)
    if not settings.kafka_api:  # the embedded broker knows no transactions
        events = {name: counts[name] for name in topics.events if name in counts}
        if policies := _cleanup_policies(admin, tuple(events)):
            yield check_keeping(policies)
        yield check_transactions(_open_transactions(settings, admin, events))


def _cleanup_policies(admin: KafkaAdminClient, topics: tuple[str, ...]) -> dict[str, str]:
    """By topic; nothing of those that we have no right DESCRIBE_CONFIGS on."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, ["cleanup.policy"]) for name in topics]
    found = admin.describe_configs(asked, config_filter="all").get("topic", {}) if asked else {}
    return {
        name: str(configs["cleanup.policy"]["value"])
        for name, configs in found.items()
        if "cleanup.policy" in configs
    }


def _open_transactions(settings: Settings, admin: KafkaAdminClient, counts: Mapping[str, int]) -> Open:
    places = {
        TopicPartition(name, p): OffsetSpec.LATEST for name, count in counts.items() for p in range(count)
    }
    if not places:
        return {}
    stable = admin.list_partition_offsets(places, isolation_level=IsolationLevel.READ_COMMITTED)
    ends = admin.list_partition_offsets(places)
    behind = {tp: stable[tp].offset for tp in places if stable[tp].offset < ends[tp].offset}
    return _ages(settings, behind) if behind else {}


def _ages(settings: Settings, behind: Mapping[TopicPartition, int]) -> Open:
    """How old the record at each of these offsets is; those that are gone by now are left out."""
    consumer = KafkaConsumer(
        **kafka_python_arguments(settings) | {"isolation_level": "read_uncommitted"}, enable_auto_commit=False
    )
    found: dict[TopicPartition, tuple[int, float]] = {}
    try:
        for tp, offset in behind.items():
            consumer.assign([tp])
            consumer.seek(tp, offset)
            records = consumer.poll(timeout_ms=_POLL_MS, max_records=1).get(tp, [])
            if records:
                found[tp] = offset, (wall_clock_ms() - records[0].timestamp) / 1_000
    finally:
        consumer.close()
    return found
