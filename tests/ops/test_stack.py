"""The whole stack as child processes: up, status, restart of what dies, orderly end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from kafka import KafkaProducer
from redis import Redis
from typer.testing import CliRunner

from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from ops.api_client.health import answers
from ops.cli import app
from ops.diagnosis.status import partition_status
from ops.stack.child import Child, StartError
from ops.stack.options import StackError, StackOptions
from ops.stack.ports import listens, preferred_port
from ops.stack.record import StackRecord, find_settings, part_record, read_record
from ops.stack.redis_server import RedisServer
from ops.stack.stack import Stack
from services import wait_until


@pytest.fixture(scope="module")
def embedded_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One for all tests that leave it as it is."""
    with Stack(StackOptions(state=tmp_path_factory.mktemp("stack") / "state")) as stack:
        yield stack


def send_views(settings: Settings, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap, api_version=settings.kafka_api_version)
    now_ms = wall_clock_ms()
    for number in range(count):
        event = Event(f"e{number}", EventType.VIEW, now_ms, f"u{number % 5}", f"p{number % 3}")
        producer.send(
            Topics(settings.topic_prefix).of(event.event_type), encode(event), key=event.user_id.encode()
        )
    producer.close()


def applied(settings: Settings) -> int:
    keys = Keys(settings.namespace, settings.partitions)
    with Redis.from_url(settings.redis_url, decode_responses=True) as client:
        return sum(int(client.hget(keys.meta(p), "applied") or 0) for p in range(settings.partitions))


def status_json(stack: Stack) -> dict[str, object]:
    result = CliRunner().invoke(app, ["status", "--json", "--state", str(stack.state)])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.output))


def health(*arguments: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_PORT")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "ops.cli", "health", *arguments],
        capture_output=True, text=True, timeout=60, check=False, cwd=folder, env={**kept, **variables},
    )  # fmt: skip


def test_health_says_what_to_set_where_no_stack_is_recorded(tmp_path: Path) -> None:
    found = health("worker", folder=tmp_path)
    assert found.returncode == 2
    assert found.stderr == (
        "STOREPULSE_WORKER_PORT must be the port that the part listens on, but is not set, and no stack is "
        "recorded in .storepulse (--state)\n"
    )
    assert "but is 'x'" in health("worker", folder=tmp_path, STOREPULSE_WORKER_PORT="x").stderr


def test_health_of_a_stack_is_that_of_its_worst_worker(embedded_stack: Stack) -> None:
    record = embedded_stack.state / "stack.json"
    recorded = record.read_text()
    fields = json.loads(recorded)
    (worker,) = [part for part in fields["parts"] if part["name"] == "worker-1"]
    fields["parts"].append({**worker, "name": "worker-2", "where": "http://127.0.0.1:1/livez"})
    record.write_text(json.dumps(fields))
    found = health("worker", "--state", str(embedded_stack.state))
    record.write_text(recorded)
    assert found.returncode == 1
    first, second = found.stdout.splitlines()
    assert (first.endswith(": well"), "no answer" in second) == (True, True)


def test_embedded_stack_applies_events_and_status_finds_it(embedded_stack: Stack) -> None:
    assert embedded_stack.settings.partitions == 4
    assert find_settings(embedded_stack.state) == embedded_stack.settings
    assert answers(f"{embedded_stack.api_url}/readyz", 5)
    send_views(embedded_stack.settings, 40)
    wait_until(lambda: applied(embedded_stack.settings) == 40, 30, "40 events applied")
    status = status_json(embedded_stack)
    for part in ("worker", "api"):
        found = health(part, "--state", str(embedded_stack.state))
        assert (found.returncode, found.stdout.endswith(": well\n")) == (0, True), found
    assert status["lag"] == 0
    assert status["counters"] == {
        "applied": 40,
        "duplicates": 0,
        "late": 0,
        "rejected": 0,
        "forgotten": 0,
        "lost": 0,
    }
    assert len(status["workers"]) == 1  # type: ignore[arg-type]


def test_second_stack_in_the_same_folder_is_refused(embedded_stack: Stack) -> None:
    with pytest.raises(StackError, match="a stack is already running in"):
        Stack(StackOptions(state=embedded_stack.state)).start()


def test_up_prints_where_everything_is_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-m", "ops.cli", "up", "--state", str(state), "--workers", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}
    ) as up:
        assert up.stdout is not None
        lines: list[str] = []
        while not any("Ctrl-C" in line for line in lines):
            lines.append(up.stdout.readline())
            assert lines[-1], "up ended early"
        record = read_record(state)
        assert record is not None
        assert record.owner.runs()
        assert [part.name for part in record.parts] == ["broker", "redis", "api", "deliver"]
        assert all(part.runs() for part in record.parts)
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
    assert "".join(lines).count("\n") < 10
    assert any("in memory" in line for line in lines)
    assert not any(part.runs() for part in record.parts)
    assert read_record(state) is None


def doctor(folder: Path) -> dict[str, str]:
    """What the doctor finds and advises, by the name of the check."""
    result = CliRunner().invoke(app, ["doctor", "--json", "--state", str(folder / "state")])
    return {check["name"]: f"{check['found']} {check['advice']}" for check in json.loads(result.output)}


def test_up_repeats_the_warnings_of_its_parts_each_once(tmp_path: Path) -> None:
    empty = tmp_path / "no model"
    empty.mkdir()
    argv = [sys.executable, "-P", "-m", "ops.cli", "up", "--state", str(tmp_path / "state")]
    shown = tmp_path / "shown"
    with shown.open("w") as out:
        env = {**os.environ, "STOREPULSE_MODEL_DIR": str(empty)}
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=env)
    try:
        refused = f"the model of next_action is rejected, nothing is predicted: {empty} has no readable model"
        refusals = [f"{part}: {refused}" for part in ("api", "worker-1")]
        wait_until(lambda: all(each in shown.read_text() for each in refusals), 90, "the refusals")
        url = f"http://127.0.0.1:{find_settings(tmp_path / 'state').api_port}/v1/events"
        headers = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
        for _ in range(2):
            httpx.options(url, headers=headers)
        blocked = "api: pages of http://localhost:3000 may not send events; to allow them, restart with"
        wait_until(lambda: blocked in shown.read_text(), 20, "the blocked page")
        page = "pages of http://localhost:3000"
        wait_until(lambda: page in doctor(tmp_path)["rejected events"], 20, "the letter about the page")
        assert "no visitor is scored" in doctor(tmp_path)["api: model"]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert shown.read_text().count(blocked) == 1


@pytest.mark.parametrize("installation", [3], indirect=True)
def test_kafka_stack_keeps_totals_over_its_own_restart(tmp_path: Path, installation: Settings) -> None:
    options = StackOptions(
        broker=installation.bootstrap,
        state=tmp_path / "state",
        workers=2,
        settings=installation.model_dump(include={"topic_prefix", "group", "namespace"}),
    )
    with Stack(options) as stack:
        send_views(stack.settings, 30)
        wait_until(lambda: applied(stack.settings) == 30, 60, "30 events applied")
    with Stack(options) as stack:
        assert stack.settings.partitions == 3
        wait_until(lambda: applied(stack.settings) == 30, 30, "the 30 events of before")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (StackOptions(workers=2), "the embedded broker serves one worker, got 2"),
        (StackOptions(workers=-1), "workers must not be negative, got -1"),
        (StackOptions(redis="127.0.0.1:6379"), "the embedded broker loses"),
        (StackOptions(kafka_port=9092), "--kafka-port only applies to --broker kafka, got embedded"),
        (
            StackOptions(broker="a:1", redis="a:2", redis_port=6379),
            "--redis-port only applies to --redis embedded, got a:2",
        ),
    ],
)
def test_combinations_that_cannot_work_are_refused(options: StackOptions, says: str) -> None:
    with pytest.raises(StackError, match=says):
        options.check()


def test_unreachable_redis_is_named(tmp_path: Path, kafka_bootstrap: str) -> None:
    stack = Stack(StackOptions(broker=kafka_bootstrap, redis="127.0.0.1:1", state=tmp_path))
    with pytest.raises(StackError, match=r"no Redis answers at redis://127\.0\.0\.1:1/0"):
        stack.start()


def test_stack_that_cannot_start_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "redis-volatile").mkdir()
    (tmp_path / "redis-volatile" / "dump.rdb").write_bytes(b"no data of Redis")
    stack = Stack(StackOptions(state=tmp_path))
    with pytest.raises(StackError, match=r"(?s)redis ended with exit code 1; the end of .*redis\.log"):
        stack.start()
    assert [part.name for part in stack.parts] == ["broker", "redis"]
    assert not any(part.child.alive for part in stack.parts)
    assert read_record(tmp_path) is None


def test_port_that_somebody_has_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("api", "redis"):
            stack = Stack(StackOptions(state=tmp_path, **{f"{option}_port": port}))
            with pytest.raises(StackError, match=f"port {port} is not free; set another --{option}-port"):
                stack.start()
            assert stack.parts == []


def test_another_redis_on_the_port_is_not_taken_for_ours(redis_url: str, tmp_path: Path) -> None:
    port = Redis.from_url(redis_url).connection_pool.connection_kwargs["port"]
    server = RedisServer(tmp_path, port=port)
    with pytest.raises(StartError):
        server.start(10)


@pytest.mark.parametrize("option", ["--api-port", "--kafka-port", "--redis-port"])
@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_port_that_cannot_be_is_refused(option: str, port: str) -> None:
    refused = CliRunner().invoke(app, ["up", option, port])
    assert refused.exit_code == 2
    assert f"Invalid value for '{option}'" in refused.output


def test_ctrl_c_before_a_command_has_begun_ends_it_without_a_traceback() -> None:
    code = (
        "import sys, types\n"
        "application = sys.modules['ops.cli.application'] = types.ModuleType('application')\n"
        "def interrupted(): raise KeyboardInterrupt\n"
        "application.main = interrupted\n"
        "from ops.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_full_disk_is_named_beside_the_log_that_stays_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child("part", [sys.executable, "-c", "raise SystemExit(1)"], tmp_path / "part.log")
    assert "is full" not in child.log_tail()
    monkeypatch.setattr("ops.stack.child.FULL_BYTES", 2**62)
    child.start()
    with pytest.raises(StartError, match=rf"\(empty\)\nthe disk of {tmp_path}/part.log is full: free some"):
        child.await_ready(lambda: False, 30)


def test_folder_that_takes_no_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="set another --state"):
        Stack(StackOptions(state=tmp_path / "file"))


SPOILED = ["", "{", "[]", "null", "{}", '{"owner": {}, "parts": [], "settings": {}}', "\0" * 4_096]


@pytest.mark.parametrize("text", SPOILED)
def test_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    assert read_record(tmp_path) is None
    assert find_settings(tmp_path) == Settings()
    status = CliRunner().invoke(app, ["status", "--state", str(tmp_path)])
    assert status.exit_code == 2
    assert "no stack is running in" in status.output


def test_record_of_another_version_is_read(tmp_path: Path) -> None:
    part = {"name": "stack", "where": "x", "pid": 1, "created_s": 1.0, "log": "", "restarts": 0, "more": 1}
    settings = {"namespace": "theirs", "not_known_here": True}
    record = {"owner": part, "parts": [part], "settings": settings, "more": 1}
    (tmp_path / "stack.json").write_text(json.dumps(record))
    read = read_record(tmp_path)
    assert read is not None
    assert read.settings == {"namespace": "theirs"}


def test_record_takes_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    where = os.fsdecode(b"\xfcber")
    StackRecord(part_record("stack", where, os.getpid()), (), {}).write(tmp_path)
    read = read_record(tmp_path)
    assert read is not None
    assert read.owner.where == where


def test_stacks_that_start_together_get_an_api_each(tmp_path: Path) -> None:
    options = [StackOptions(state=tmp_path / name, workers=0) for name in ("one", "other")]
    with ExitStack() as opened, ThreadPoolExecutor() as pool:
        stacks = list(pool.map(lambda each: opened.enter_context(Stack(each)), options))
        assert len({stack.api_url for stack in stacks}) == 2
        for stack in stacks:
            assert answers(f"{stack.api_url}/livez")
            assert listens(stack.part("api").child.pid, stack.settings.api_port)
            record = read_record(stack.state)
            assert record is not None
            assert stack.part("api").where in [part.where for part in record.parts]


def test_ports_are_the_same_in_each_run_unless_taken(tmp_path: Path) -> None:
    def addresses() -> dict[str, str]:
        with Stack(StackOptions(state=tmp_path / "state", deliver=True)) as stack:
            return {part.name: part.where for part in stack.parts if part.name not in ("broker", "api")}

    first = addresses()
    assert first.keys() == {"redis", "worker-1", "deliver"}
    assert addresses() == first
    port = int(first["redis"].rpartition(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        third = addresses()
    assert third["redis"] != first["redis"]
    assert third["worker-1"] == first["worker-1"]


def test_stacks_in_different_folders_have_different_ports() -> None:
    firsts = {preferred_port(f"/srv/shop-{n}/.storepulse", 0) for n in range(50)}
    assert len(firsts) > 40
    assert len({preferred_port("/srv/shop/.storepulse", place) for place in range(20)}) == 20


def test_lag_counts_from_the_stored_offset_or_from_the_start() -> None:
    ends = {("x.view", 2): 10, ("x.cart", 2): 4, ("x.purchase", 2): 0}
    found = partition_status(2, {"off:x.view": "7", "applied": "6", "late": "1"}, Topics("x.").events, ends)
    assert found.lag == {"view": 3, "cart": 4, "purchase": 0}
    assert found.counters == {
        "applied": 6,
        "duplicates": 0,
        "late": 1,
        "rejected": 0,
        "forgotten": 0,
        "lost": 0,
    }
