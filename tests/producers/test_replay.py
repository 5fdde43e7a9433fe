"""Replaying: order, pace, resuming, and waiting for a stream that is behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import redis

from contracts.clock import wall_clock_ms
from contracts.dead_letters import decode_dead_letter
from contracts.events import Event, EventType, decode, encode
from contracts.keys import Keys
from contracts.settings import Settings
from producers.checkpoints import Checkpoint, CheckpointFile
from producers.lag import LagUnknown, Offsets, RedisOffsets, lag_events
from producers.pacing import Pacer, parse_speed
from producers.replay import Progress, Replay, ReplayPlan
from producers.sender import MemorySender
from services import wait_until
from sources import Source

START_MS = 1_600_000_000_000
SETTINGS = Settings(topic_prefix="t.")


def write_events(path: Path, count: int, step_ms: int = 1_000) -> Path:
    events = [
        Event(
            f"e{i}", EventType.VIEW, START_MS + i * step_ms, f"u{i % 5}", "p", price_minor=100, currency="EUR"
        )
        for i in range(count)
    ]
    path.write_bytes(b"\n".join(encode(event) for event in events))
    return path


def checkpoints_in(folder: Path) -> CheckpointFile:
    return CheckpointFile(folder, name="e.jsonl", fingerprint="f", destination="d")


def replay(path: Path, plan: ReplayPlan, sender: MemorySender, **options: object) -> Progress:
    with Source(path, currency="EUR") as source:
        checkpoints = checkpoints_in(path.parent)
        return Replay(source, sender, plan, checkpoints=checkpoints, **options).run()  # type: ignore[arg-type]


def sent_events(sender: MemorySender) -> list[Event]:
    now_ms = wall_clock_ms()
    return [
        decode(record.value, received_ms=now_ms, default_currency="EUR")
        for record in sender.records
        if record.topic != "t.rejected"
    ]


def stop_after(rows: int) -> Callable[[], bool]:
    left = iter([False] * rows)
    return lambda: next(left, True)


def test_everything_is_sent_once_and_refused_rows_become_letters(tmp_path: Path) -> None:
    path = write_events(tmp_path / "e.jsonl", 20)
    path.write_bytes(path.read_bytes() + b"\n{}\nnonsense\n{}")
    sender = MemorySender(SETTINGS)
    progress = replay(path, ReplayPlan(), sender)
    assert [event.event_id for event in sent_events(sender)] == [f"e{i}" for i in range(20)]
    assert (progress.read, progress.sent, progress.interrupted) == (23, 20, False)
    assert {code: (kind.count, kind.first_rows) for code, kind in progress.rejected.items()} == {
        "event_type.missing": (2, [21, 23]),
        "event.not_json": (1, [22]),
    }
    letters = [decode_dead_letter(r.value or b"") for r in sender.records if r.topic == "t.rejected"]
    assert {(letter.topic, letter.offset, letter.value) for letter in letters} == {
        ("e.jsonl", 21, b"{}"),
        ("e.jsonl", 22, b"nonsense"),
        ("e.jsonl", 23, b"{}"),
    }


@pytest.mark.parametrize("rows", [0, 1, 7, 19])
def test_an_interrupted_replay_goes_on_where_it_ended(tmp_path: Path, rows: int) -> None:
    path = write_events(tmp_path / "e.jsonl", 20)
    sender = MemorySender(SETTINGS)
    first = replay(path, ReplayPlan(), sender, stopped=stop_after(rows))
    assert first.interrupted
    assert first.read == rows
    second = replay(path, ReplayPlan(), sender)
    assert (second.resumed_at, second.read, second.interrupted) == (rows, 20 - rows, False)
    assert [event.event_id for event in sent_events(sender)] == [f"e{i}" for i in range(20)]
    assert checkpoints_in(tmp_path).load() is None


def test_a_restart_and_a_finished_replay_begin_at_the_first_row(tmp_path: Path) -> None:
    path = write_events(tmp_path / "e.jsonl", 20)
    replay(path, ReplayPlan(), MemorySender(SETTINGS), stopped=stop_after(5))
    sender = MemorySender(SETTINGS)
    assert replay(path, ReplayPlan(resume=False), sender).read == 20
    assert replay(path, ReplayPlan(), sender).read == 20


def test_only_what_was_acknowledged_counts_as_done(tmp_path: Path) -> None:
    class Unacknowledged(MemorySender):
        def flush(self) -> None:
            self.acked = 6
            raise ConnectionError

    with pytest.raises(ConnectionError):
        replay(write_events(tmp_path / "e.jsonl", 20), ReplayPlan(), Unacknowledged(SETTINGS))
    assert checkpoints_in(tmp_path).load() == Checkpoint(6, 0)


def test_a_limit_takes_the_first_rows_by_time(tmp_path: Path) -> None:
    sender = MemorySender(SETTINGS)
    path = write_events(tmp_path / "e.jsonl", 20)
    assert replay(path, ReplayPlan(limit=6), sender).read == 6
    assert [event.event_id for event in sent_events(sender)] == [f"e{i}" for i in range(6)]


def test_time_now_moves_the_first_event_to_now_and_keeps_the_gaps(tmp_path: Path) -> None:
    path = write_events(tmp_path / "e.jsonl", 5, step_ms=1)
    sender = MemorySender(SETTINGS)
    before_ms = wall_clock_ms()
    replay(path, ReplayPlan(speed=1, time="now"), sender)
    events = sent_events(sender)
    assert before_ms <= events[0].event_time_ms <= wall_clock_ms()
    assert [event.event_time_ms - events[0].event_time_ms for event in events] == [0, 1, 2, 3, 4]
    assert len({event.event_id for event in events} | {f"e{i}" for i in range(5)}) == 10


def test_a_resumed_replay_keeps_its_shift_of_times(tmp_path: Path) -> None:
    path = write_events(tmp_path / "e.jsonl", 6, step_ms=1)
    sender = MemorySender(SETTINGS)
    plan = ReplayPlan(speed=1, time="now")
    replay(path, plan, sender, stopped=stop_after(3))
    replay(path, plan, sender)
    times = [event.event_time_ms for event in sent_events(sender)]
    assert [at_ms - times[0] for at_ms in times] == [0, 1, 2, 3, 4, 5]


def test_a_plan_that_would_outrun_the_clock_is_refused() -> None:
    with pytest.raises(ValueError, match="--time now needs --speed 1"):
        ReplayPlan(speed=60, time="now")
    with pytest.raises(ValueError, match="original or now"):
        ReplayPlan(time="later")


def test_the_pace_follows_event_time() -> None:
    clock = [100.0]
    pacer = Pacer(60, clock=lambda: clock[0])
    assert pacer.wait_s(START_MS) == 0
    assert pacer.wait_s(START_MS + 60_000) == pytest.approx(1.0)
    clock[0] += 5
    assert pacer.wait_s(START_MS + 60_000) == 0
    assert Pacer(None).wait_s(START_MS) == 0


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan", ""])
def test_a_speed_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="speed must be max or a factor"):
        parse_speed(text)
    assert parse_speed("max") is None
    assert parse_speed("1.5") == 1.5


class Stream:
    """Applied offsets that follow what was sent at every `every`-th look."""

    def __init__(self, sender: MemorySender, every: int) -> None:
        self.looks = 0
        self.worst = 0
        self._sender = sender
        self._every = every
        self._applied: Offsets = {}

    def read(self) -> Offsets:
        self.looks += 1
        self.worst = max(self.worst, lag_events(self._sender.starts, self._sender.ends, self._applied))
        if self.looks % self._every == 0:
            self._applied = dict(self._sender.ends)
        return self._applied


def test_the_replay_never_runs_far_ahead_of_the_stream(tmp_path: Path) -> None:
    sender = MemorySender(SETTINGS)
    stream = Stream(sender, every=3)
    progress = replay(
        write_events(tmp_path / "e.jsonl", 2_000), ReplayPlan(max_lag=100), sender, applied=stream
    )
    assert progress.read == 2_000
    assert stream.looks > 20
    assert stream.worst <= 100 + 100 // 4 + 1


def test_refused_rows_are_nothing_that_the_stream_would_get_to(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"no event\n" * 50)
    sender = MemorySender(SETTINGS)
    nothing_applied = Stream(MemorySender(SETTINGS), every=1)
    progress = replay(path, ReplayPlan(max_lag=10), sender, applied=nothing_applied)
    assert (progress.read, len(sender.records), sender.ends) == (50, 50, {})


def test_a_stream_that_applies_nothing_is_named_and_the_replay_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producers.replay.SILENCE_S", 0.0)
    notes: list[str] = []
    progress = replay(
        write_events(tmp_path / "e.jsonl", 200),
        ReplayPlan(max_lag=10),
        MemorySender(SETTINGS),
        applied=Stream(MemorySender(SETTINGS), every=1),
        on_tick=lambda progress: notes.append(progress.note),
        stopped=lambda: len(notes) > 3,
    )
    assert progress.interrupted
    assert "is a worker running?" in notes[-2]


def test_lag_counts_from_the_first_record_sent_where_nothing_is_applied_yet() -> None:
    starts, ends = {("view", 0): 100, ("view", 1): 5}, {("view", 0): 150, ("view", 1): 9}
    assert lag_events(starts, ends, {}) == 54
    assert lag_events(starts, ends, {("view", 0): 140, ("view", 1): 9}) == 10
    assert lag_events(starts, ends, {("view", 0): 90, ("view", 1): 20}) == 60


def test_applied_offsets_are_read_from_redis(installation: Settings) -> None:
    client = redis.Redis.from_url(installation.redis_url)
    topic = f"{installation.topic_prefix}view"
    client.hset(Keys(installation.namespace, 12).meta(3), mapping={f"off:{topic}": 41, "epoch": 2})
    offsets = RedisOffsets(installation)
    assert offsets.read() == {(topic, 3): 41}
    offsets.close()
    client.close()


def test_redis_that_does_not_answer_is_said(tmp_path: Path) -> None:
    nowhere = Settings(redis_url="redis://127.0.0.1:1/0")
    path = write_events(tmp_path / "e.jsonl", 3)
    with pytest.raises(LagUnknown, match=r"Redis at redis://127\.0\.0\.1:1/0 does not answer"):
        replay(path, ReplayPlan(), MemorySender(SETTINGS), applied=RedisOffsets(nowhere))


def test_an_unreadable_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    for content in (b"", b"{}", b"[1]", b'{"rows":"x","shift_ms":0}'):
        checkpoints.path.write_bytes(content)
        assert checkpoints.load() is None
    checkpoints.save(Checkpoint(5, -3))
    assert checkpoints.load() == Checkpoint(5, -3)
    checkpoints.remove()
    checkpoints.remove()


def environment(settings: Settings) -> dict[str, str]:
    names = ("bootstrap", "redis_url", "namespace", "topic_prefix", "group", "partitions")
    return os.environ | {f"STOREPULSE_{name.upper()}": str(getattr(settings, name)) for name in names}


def test_the_command_stops_at_sigint_with_a_checkpoint_and_goes_on(
    installation: Settings, tmp_path: Path
) -> None:
    path = write_events(tmp_path / "e.jsonl", 300, step_ms=100)
    command = [sys.executable, "-m", "ops.cli", "replay", str(path), "--max-lag", "0", "--json"]
    command += ["--state", str(tmp_path / "state")]
    with subprocess.Popen(
        [*command, "--speed", "10"], env=environment(installation), stdout=subprocess.PIPE
    ) as process:
        saved = lambda: any(b'"rows":0' not in p.read_bytes() for p in (tmp_path / "state").rglob("*.json"))  # noqa: E731
        wait_until(saved, 30, "a checkpoint")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    first = orjson.loads(output)
    assert process.returncode == 130
    assert first["interrupted"]
    assert 0 < first["sent"] < 300
    done = subprocess.run(command, env=environment(installation), capture_output=True, timeout=60, check=True)
    second = orjson.loads(done.stdout)
    assert second["resumed_at_row"] == first["sent"]
    assert first["sent"] + second["sent"] == 300
    assert not second["interrupted"]


def test_a_file_that_cannot_be_replayed_ends_the_command_with_an_error(tmp_path: Path) -> None:
    for name, content in (("a.csv", "a,b\n"), ("b.parquet", "x"), ("absent.csv", None)):
        if content is not None:
            (tmp_path / name).write_text(content)
        command = [sys.executable, "-m", "ops.cli", "replay", str(tmp_path / name), "--state", str(tmp_path)]
        env = os.environ | {"STOREPULSE_BOOTSTRAP": "127.0.0.1:1"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "cannot be replayed" in done.stderr
