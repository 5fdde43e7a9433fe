"""Files sent again: refused where they would count twice; told by their rows, not by name or packing."""

import gzip
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import redis
from kafka import KafkaConsumer, TopicPartition

from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import DIGEST_BYTES
from producers.checkpoints import CheckpointFile
from producers.lag import LagUnknown
from producers.replay import Progress, Replay, ReplayPlan
from producers.replay_memory import MOST_REMEMBERED, RECOGNISED_IDS, AlreadySent, ReplayMemory, SentFile
from producers.sender import MemorySender
from sources import Source
from sources.sample import SAMPLE_ROWS, RowSample, shared_part
from stream.visitors.session import MAX_SEEN_BYTES

START_MS = 1_600_000_000_000


def write_purchases(path: Path, count: int, first: int = 0) -> Path:
    """Purchases of one visitor, more than its state remembers the ids of."""
    events = [
        Event(f"e{n}", EventType.PURCHASE, START_MS + n * 1_000, "u", "p", price_minor=100, currency="EUR")
        for n in range(first, first + count)
    ]
    path.write_bytes(b"\n".join(encode(event) for event in events))
    return path


@pytest.fixture
def memory(installation: Settings) -> Iterator[ReplayMemory]:
    memory = ReplayMemory(installation)
    yield memory
    memory.close()


def replay(
    path: Path, memory: ReplayMemory, plan: ReplayPlan | None = None, stop_after: int = -1
) -> Progress:
    left = iter([False] * stop_after) if stop_after >= 0 else None
    with Source(path, currency="EUR") as source:
        return Replay(
            source,
            MemorySender(Settings(topic_prefix="t.")),
            plan or ReplayPlan(resume=False),
            checkpoints=CheckpointFile(path.parent, name=path.name, fingerprint="f", destination="d"),
            memory=memory,
            stopped=lambda: left is not None and next(left, True),
        ).run()


def test_a_file_is_sent_once_whatever_it_is_called_and_however_it_is_written(
    memory: ReplayMemory, tmp_path: Path
) -> None:
    path = write_purchases(tmp_path / "june.jsonl", 3_000)
    assert replay(path, memory).sent == 3_000
    lines = path.read_bytes().split(b"\n")
    random.Random(1).shuffle(lines)
    others = {
        "june.jsonl": path.read_bytes(),
        "copy.jsonl.gz": gzip.compress(path.read_bytes()),
        "windows.json": b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"),
        "shuffled.jsonl": b"\n".join(lines),
        "more.jsonl": path.read_bytes() + b"\n" + write_purchases(tmp_path / "x", 9_000, 3_000).read_bytes(),
        "piece.jsonl": b"\n".join(lines[:300]),
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AlreadySent, match=rf"{name} was not sent: .* by the replay of june\.jsonl"):
            replay(tmp_path / name, memory)
    assert replay(write_purchases(tmp_path / "july.jsonl", 3_000, 3_000), memory).sent == 3_000


def test_tables_are_told_by_their_rows_too(memory: ReplayMemory, tmp_path: Path) -> None:
    import polars as pl

    columns = {
        "event_time": [f"2019-10-01 00:{n // 60:02d}:{n % 60:02d} UTC" for n in range(2_000)],
        "event_type": ["view"] * 2_000,
        "product_id": list(range(2_000)),
        "user_id": ["u"] * 2_000,
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame(columns).write_csv(tmp_path / "a.csv")
    for name in ("a.parquet", "a.csv"):
        assert replay(tmp_path / name, memory).sent == 2_000
        with pytest.raises(AlreadySent, match="its rows were sent before"):
            replay(tmp_path / name, memory)


def test_again_sends_it_all_the_same_and_another_time_is_another_event(
    memory: ReplayMemory, tmp_path: Path
) -> None:
    path = write_purchases(tmp_path / "e.jsonl", 2_000)
    assert replay(path, memory).sent == 2_000
    assert replay(path, memory, ReplayPlan(resume=False, again=True)).sent == 2_000
    now = ReplayPlan(speed=1, time="now", resume=False)
    assert replay(path, memory, now, stop_after=1).sent == 1


def test_an_interrupted_or_limited_replay_goes_on_and_its_start_is_not_sent_twice(
    memory: ReplayMemory, tmp_path: Path
) -> None:
    path = write_purchases(tmp_path / "e.jsonl", 1_100)
    assert replay(path, memory, ReplayPlan(limit=5)).sent == 5
    assert replay(path, memory, ReplayPlan(), stop_after=7).sent == 7
    with pytest.raises(AlreadySent, match=r"\(12 of 1,100 rows\)"):
        replay(path, memory, ReplayPlan(resume=False))
    rest = replay(path, memory, ReplayPlan())
    assert (rest.resumed_at, rest.sent) == (12, 1_088)
    with pytest.raises(AlreadySent, match=r"\(1,100 of 1,100 rows\)"):
        replay(path, memory, ReplayPlan())


def test_a_few_events_may_be_sent_again_for_each_of_them_is_recognised(
    memory: ReplayMemory, installation: Settings, tmp_path: Path
) -> None:
    first = write_purchases(tmp_path / "first.jsonl", 600)
    second = write_purchases(tmp_path / "second.jsonl", RECOGNISED_IDS - 600, 600)
    for path in (first, second, first, second, first):
        replay(path, memory)
    replay(write_purchases(tmp_path / "third.jsonl", 1, 5_000), memory)
    with pytest.raises(AlreadySent):  # of a visitor in all of them the state has forgotten an id
        replay(first, memory)
    expired = ReplayMemory(installation.model_copy(update={"visitor_ttl_s": 0, "namespace": "expired"}))
    replay(second, expired)
    with pytest.raises(AlreadySent):
        replay(second, expired)
    expired.close()


def test_of_two_replays_of_a_file_at_the_same_time_one_is_refused(
    memory: ReplayMemory, installation: Settings, tmp_path: Path
) -> None:
    class Overtaken(ReplayMemory):
        """The other one begins after this one has looked."""

        def _read(self) -> dict[str, SentFile]:
            found = super()._read()
            if not found:
                replay(path, memory)
            return found

    path = write_purchases(tmp_path / "e.jsonl", 1_100)
    overtaken = Overtaken(installation)
    with pytest.raises(AlreadySent):
        replay(path, overtaken)
    overtaken.close()


def test_the_memory_of_a_visitor_is_what_the_stream_keeps() -> None:
    assert MAX_SEEN_BYTES == RECOGNISED_IDS * DIGEST_BYTES


def test_only_the_newest_replays_are_remembered(
    memory: ReplayMemory, installation: Settings, tmp_path: Path
) -> None:
    with redis.Redis.from_url(installation.redis_url) as client:
        key = Keys(installation.namespace, installation.partitions).replays()
        old = {"name": "old", "rows": 1, "sent": 1, "digests": ""}
        client.hset(key, mapping={f"o{n}": orjson.dumps(old | {"at_ms": n}) for n in range(MOST_REMEMBERED)})
        replay(write_purchases(tmp_path / "e.jsonl", 3), memory)
        assert client.hlen(key) == MOST_REMEMBERED
        assert not client.hexists(key, "o0")
        assert client.hexists(key, "o1")


def test_a_replay_that_cannot_know_is_not_begun(tmp_path: Path) -> None:
    nowhere = ReplayMemory(Settings(redis_url="redis://127.0.0.1:1/0"))
    with pytest.raises(LagUnknown, match="cannot say what was replayed before"):
        replay(write_purchases(tmp_path / "e.jsonl", 3), nowhere)


def sample_of(numbers: range) -> frozenset[int]:
    sample = RowSample()
    for number in numbers:
        sample.add(str(number).encode())
    return sample.digests


def test_a_sample_says_which_part_of_the_rows_is_shared() -> None:
    whole = sample_of(range(100_000))
    assert len(whole) == SAMPLE_ROWS
    assert shared_part(whole, whole) == 1.0
    assert shared_part(sample_of(range(50_000, 150_000)), whole) == pytest.approx(0.5, abs=0.05)
    assert shared_part(sample_of(range(100_000, 200_000)), whole) == 0.0
    assert shared_part(sample_of(range(97_000, 197_000)), whole) > 0.01  # 3 % of it were sent before
    assert shared_part(sample_of(range(1_000)), whole) == 1.0  # a piece of 1 %
    assert shared_part(whole, sample_of(range(5_000))) == pytest.approx(0.05, abs=0.02)
    assert shared_part(frozenset(), whole) == 0.0
    twice = RowSample()
    for number in (1, 2, 2, 1):
        twice.add(str(number).encode())
    assert twice.digests == sample_of(range(1, 3))


def test_the_command_refuses_the_second_time_and_kafka_has_each_purchase_once(
    installation: Settings, tmp_path: Path
) -> None:
    path = write_purchases(tmp_path / "e.jsonl", 3_000)
    names = ("bootstrap", "redis_url", "namespace", "topic_prefix", "group", "partitions")
    env = os.environ | {f"STOREPULSE_{name.upper()}": str(getattr(installation, name)) for name in names}
    command = [sys.executable, "-m", "ops.cli", "replay", str(path), "--max-lag", "0", "--restart"]
    command += ["--state", str(tmp_path / "state")]
    runs = [
        subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        for _ in range(3)
    ]
    assert [run.returncode for run in runs] == [0, 1, 1]
    assert "Use --again to send them anyway" in runs[1].stderr
    assert "Traceback" not in runs[1].stderr
    consumer = KafkaConsumer(bootstrap_servers=installation.bootstrap)
    topic = Topics(installation.topic_prefix).of(EventType.PURCHASE)
    places = [TopicPartition(topic, p) for p in range(installation.partitions)]
    assert sum(consumer.end_offsets(places).values()) == 3_000
    consumer.close()
