"""`storepulse status`: lag per partition, speed, delay, counters and memory, read from Kafka and Redis."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError
from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from connections.redis import open_redis
from contracts.clock import wall_clock_ms
from contracts.heartbeat import Heartbeat, from_hash
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import EVENT_TOPICS, Topics
from ops.stack.topics import open_admin, partition_counts

COUNTERS = ("applied", "duplicates", "late", "rejected", "forgotten", "lost")


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition: records not yet applied by plain topic name, and the counters of its commits."""

    partition: int
    lag: dict[str, int]
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Status:
    """The installation at `at_ms`."""

    at_ms: int
    partitions: tuple[PartitionStatus, ...]
    workers: tuple[Heartbeat, ...]
    redis_used_bytes: int
    beyond: int = 0
    """Records in partitions that single topics have beyond those of the installation; nobody reads them."""

    @property
    def lag(self) -> int:
        """Records not yet applied, over everything."""
        return sum(sum(part.lag.values()) for part in self.partitions)

    @property
    def counters(self) -> dict[str, int]:
        """The counters summed over the partitions."""
        return {name: sum(part.counters[name] for part in self.partitions) for name in COUNTERS}

    @property
    def events_per_s(self) -> float:
        """Events applied per second, all workers together."""
        return sum(worker.events_per_s for worker in self.workers)


def partition_status(
    p: int, meta: Mapping[str, str], topics: tuple[str, ...], ends: Mapping[tuple[str, int], int]
) -> PartitionStatus:
    """One partition's status from its meta hash and Kafka's end offsets; never-read topics count from 0."""
    lag = {
        plain: max(0, ends[topic, p] - int(meta.get(f"off:{topic}", 0)))
        for plain, topic in zip(EVENT_TOPICS, topics, strict=True)
    }
    return PartitionStatus(p, lag, {name: int(meta.get(name, 0)) for name in COUNTERS})


def read_status(settings: Settings, admin: KafkaAdminClient, client: Redis) -> Status:
    """Read the status; raises `KafkaError` or `RedisError` when a service does not answer."""
    topics = Topics(settings.topic_prefix).events
    keys = Keys(settings.namespace, settings.partitions)
    numbers = range(settings.partitions)
    wanted = {TopicPartition(topic, p): OffsetSpec.LATEST for topic in topics for p in numbers}
    ends = {
        (tp.topic, tp.partition): found.offset for tp, found in admin.list_partition_offsets(wanted).items()
    }
    pipe = client.pipeline(transaction=False)
    for p in numbers:
        pipe.hgetall(keys.meta(p))
    metas = pipe.execute()
    return Status(
        at_ms=wall_clock_ms(),
        partitions=tuple(partition_status(p, metas[p], topics, ends) for p in numbers),
        workers=read_workers(client, keys),
        redis_used_bytes=int(client.info("memory")["used_memory"]),
        beyond=_count_beyond(settings, admin, topics),
    )


def _count_beyond(settings: Settings, admin: KafkaAdminClient, topics: tuple[str, ...]) -> int:
    if settings.kafka_api:  # the embedded broker gives no topic more partitions
        return 0
    counts = partition_counts(admin, topics)
    places = {
        TopicPartition(topic, p): OffsetSpec.LATEST
        for topic, count in counts.items()
        for p in range(settings.partitions, count)
    }
    return sum(end.offset for end in admin.list_partition_offsets(places).values()) if places else 0


def read_workers(client: Redis, keys: Keys) -> tuple[Heartbeat, ...]:
    """Heartbeats of the workers that are there, by id."""
    worker_ids = cast(list[str], client.zrange(keys.workers(), 0, -1))
    found = [cast(dict[str, str], client.hgetall(keys.worker(worker_id))) for worker_id in worker_ids]
    return tuple(sorted(from_hash(fields) for fields in found if fields))


def run_status(settings: Settings, *, watch: bool, as_json: bool) -> int:
    """Print the status once, or until Ctrl-C with `watch`; the exit code is 1 if a service is not there."""
    console = Console()
    client = open_redis(settings, decode_responses=True)
    try:
        with open_admin(settings) as admin, client:
            if watch:
                _watch(settings, admin, client, console)
                return 0
            status = read_status(settings, admin, client)
    except (KafkaError, RedisError) as exc:
        console.print(
            f"cannot read the status: {exc}\n`storepulse up` starts a stack, `storepulse doctor` finds "
            "the cause.",
            highlight=False,
        )
        return 1
    if as_json:
        console.out(to_json(status).decode(), highlight=False)
    else:
        console.print(render(status, console.width))
    return 0


def to_json(status: Status) -> bytes:
    """The status as JSON, sums included."""
    fields: dict[str, Any] = {
        "at_ms": status.at_ms,
        "lag": status.lag,
        "events_per_s": status.events_per_s,
        "counters": status.counters,
        "redis_used_bytes": status.redis_used_bytes,
        "beyond": status.beyond,
        "workers": [
            worker._asdict() | {"slots": [slot._asdict() for slot in worker.slots]}
            for worker in status.workers
        ],
        "partitions": status.partitions,
    }
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2)


def render(status: Status, width: int) -> RenderableType:
    """The status as tables of at most `width` columns; what is 0 in every partition is in the sums only."""
    counters = status.counters
    head = (
        f"lag {status.lag:,}  events/s {status.events_per_s:,.0f}  Redis {_mib(status.redis_used_bytes)}\n"
        f"{'  '.join(f'{name} {counters[name]:,}' for name in COUNTERS)}\n"
    )
    if status.beyond:
        head += (
            f"[yellow]{status.beyond:,} records wait in partitions that not all topics have: "
            "`storepulse doctor` says what to do[/]\n"
        )
    return Group(head, _worker_table(status), "", *_partition_tables(status, width))


def _worker_table(status: Status) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("worker", "events/s", "delay p50 ms", "p99 ms", "memory", "partitions"):
        table.add_column(
            name, justify="left" if name in ("worker", "partitions") else "right", overflow="fold"
        )
    for worker in status.workers:
        table.add_row(
            worker.worker_id,
            f"{worker.events_per_s:,.0f}",
            f"{worker.delay_p50_ms:,.0f}",
            f"{worker.delay_p99_ms:,.0f}",
            _mib(worker.rss_bytes),
            say_ranges(worker.partitions),
        )
    if not status.workers:
        table.add_row("[red]no worker is running[/]", "", "", "", "", "")
    return table


def say_ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers in short, such as `0-3,7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _partition_tables(status: Status, width: int) -> Iterator[Table]:
    """One table of all columns, or several of as many as fit, each with the partitions."""
    columns: dict[str, list[str]] = {}
    for topic in EVENT_TOPICS:
        columns[f"lag {topic}"] = [f"{part.lag[topic]:,}" for part in status.partitions]
    for name in COUNTERS:
        columns[name] = [f"{part.counters[name]:,}" for part in status.partitions]
    shown = {name: cells for name, cells in columns.items() if name == "applied" or set(cells) != {"0"}}
    partitions = [str(part.partition) for part in status.partitions]
    taken: dict[str, list[str]] = {}
    for name, cells in shown.items():
        if taken and _width_of({"p": partitions, **taken, name: cells}) > width:
            yield _table_of({"p": partitions, **taken})
            taken = {}
        taken[name] = cells
    yield _table_of({"p": partitions, **taken})


def _width_of(columns: Mapping[str, list[str]]) -> int:
    """Characters of a row, with two between columns."""
    return sum(max(map(len, (name, *cells))) + 2 for name, cells in columns.items()) - 2


def _table_of(columns: Mapping[str, list[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _watch(settings: Settings, admin: KafkaAdminClient, client: Redis, console: Console) -> None:
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                live.update(render(read_status(settings, admin, client), console.width), refresh=True)
                time.sleep(1.0)
        except KeyboardInterrupt:
            return


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"
