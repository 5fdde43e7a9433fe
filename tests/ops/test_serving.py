"""The API as real processes on a port: replaced when they die, ended in order, added up."""

import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api_processes import ApiProgram, Serve, read_answer, send_head
from contracts.settings import Settings
from ops.serving import managed_process
from ops.serving.listening import PortTaken, reserve
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from services import unique_settings, wait_until


def metric(program: ApiProgram, name: str, **labels: str) -> float:
    """The sum of the samples of a metric that have these labels."""
    text = program.get("/metrics").text
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples if s.name == name]
    return sum(s.value for s in samples if labels.items() <= s.labels.items())


def test_a_killed_process_is_replaced_while_another_serves(serve: Serve) -> None:
    program = serve(processes=2)
    first, second = program.servers()
    first.kill()
    for _ in range(20):  # whoever comes to the dead one's socket waits there for the next
        assert program.get("/livez").status_code == 200
    program.await_log("Application startup complete", 3)
    pids = {server.pid for server in program.servers()}
    assert len(pids) == 2
    assert second.pid in pids
    assert first.pid not in pids


def test_the_figures_of_all_processes_are_added_up_and_outlive_them(serve: Serve) -> None:
    program = serve(processes=2)
    for _ in range(40):
        program.get("/v1/live")
    asked = {"route": "/v1/live", "status": "200"}
    for _ in range(8):  # answered by either
        assert metric(program, "storepulse_api_requests_total", **asked) == 40
    assert metric(program, "storepulse_api_request_seconds_count", route="/v1/live") == 40
    whole = metric(program, "process_resident_memory_bytes")
    alone = [server.memory_info().rss for server in program.servers()]
    assert whole > 1.5 * min(alone)
    program.servers()[0].kill()
    program.await_log("Application startup complete", 3)
    program.get("/v1/live")
    for _ in range(8):
        assert metric(program, "storepulse_api_requests_total", **asked) == 41


def test_sigterm_ends_all_processes_in_order_and_leaves_nothing(serve: Serve) -> None:
    program = serve(processes=2)
    servers = program.servers()
    (folder,) = {argument for s in servers for argument in s.cmdline() if "storepulse-api-" in argument}
    program.terminate()
    assert program.await_end() == 0
    assert not any(server.is_running() for server in servers)
    assert program.log().count("Application shutdown complete") == 2
    assert not Path(folder).exists()


def test_nothing_outlives_a_supervisor_that_is_killed(serve: Serve) -> None:
    program = serve(processes=2)
    servers = program.servers()
    os.kill(program.child.pid, signal.SIGKILL)
    wait_until(lambda: not any(server.is_running() for server in servers), 20, "the end of all processes")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_second_signal_ends_at_once(serve: Serve, processes: int) -> None:
    program = serve(processes=processes)
    with program.open() as unfinished:
        send_head(unfinished, "POST /v1/events", "Content-Type: application/json", "Content-Length: 10")
        program.terminate()
        wait_until(lambda: "Shutting down" in program.log(), 10, "the first signal to be taken")
        program.terminate()
        assert program.await_end() == 128 + signal.SIGTERM


@pytest.mark.parametrize("processes", [1, 2])
def test_readiness_says_no_before_requests_are_refused(serve: Serve, processes: int) -> None:
    program = serve(processes=processes, pre_stop_s=4.0)
    assert program.get("/readyz").json()["status"] != "stopping"
    program.terminate()
    wait_until(lambda: program.get("/readyz").json()["status"] == "stopping", 4, "readiness to say no")
    ready = program.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["parts"]["redis"]["status"] == "ok"
    assert program.get("/v1/live").status_code == 200
    assert program.await_end() == 0


def test_open_streams_end_with_the_process(serve: Serve) -> None:
    program = serve(processes=2)
    with ExitStack() as clients:
        streams = [
            clients.enter_context(httpx.stream("GET", f"{program.url}/v1/alerts/stream", timeout=60))
            for _ in range(6)
        ]
        assert {stream.status_code for stream in streams} == {200}
        program.terminate()
        for stream in streams:
            with suppress(httpx.RemoteProtocolError):
                stream.read()
        assert program.await_end() == 0
    assert "timeout graceful shutdown exceeded" not in program.log()


def test_a_request_under_way_is_finished_and_its_event_is_in_kafka(
    installation: Settings, tmp_path: Path
) -> None:
    with ApiProgram(installation, tmp_path) as program:
        wait_until(
            lambda: program.get("/readyz").json()["parts"]["kafka"]["status"] == "ok", 30, "Kafka to be seen"
        )
        body = b'{"event_type": "view", "user_id": "u1", "product_id": "p1"}'
        with program.open() as client:
            length = f"Content-Length: {len(body)}"
            send_head(client, "POST /v1/events", "Content-Type: application/json", length)
            client.sendall(body[:20])
            wait_until(
                lambda: metric(program, "storepulse_api_waiting_bytes") == 20, 10, "the body to be read"
            )
            program.terminate()
            wait_until(lambda: "Shutting down" in program.log(), 10, "the signal to be taken")
            client.sendall(body[20:])
            answer = read_answer(client)
        assert answer.status_code == 202, answer.text
        assert answer.json()["accepted"] == 1
        assert program.await_end() == 0


def test_a_port_in_use_is_said_and_not_shared(serve: Serve, tmp_path: Path) -> None:
    program = serve(processes=2)
    for processes in (1, 2):
        other = ApiProgram(program.settings, tmp_path / "other", processes=processes)
        port = str(program.settings.api_port)
        other.child.env["STOREPULSE_API_PORT"] = port
        other.child.start()
        assert other.await_end() == 1
        assert port in other.log()


def test_a_process_whose_event_loop_stands_still_is_replaced(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = unique_settings("127.0.0.1:1", redis_url, partitions=4, api_port=pick_port())
    with reserve("127.0.0.1", settings.api_port) as reserved:
        place = managed_process.ManagedProcess(0, reserved, tmp_path, settings_environment(settings))
        place.start()
        try:
            wait_until(lambda: not place.check() and place.was_ready, 60, "the process to serve")
            monkeypatch.setattr(managed_process, "HUNG_S", 2.0)
            place.child.suspend()
            wait_until(lambda: "unresponsive" in place.check(), 30, "the process to be missed")
            wait_until(lambda: "exit code -9" in place.check(), 30, "its end to be seen")
            wait_until(lambda: "restarted" in place.check(), 30, "another")
        finally:
            place.child.kill()
            place.close()


def test_a_port_that_somebody_listens_on_cannot_be_reserved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTaken, match="in use"):
        reserve("127.0.0.1", taken.getsockname()[1])


def test_one_per_core_is_what_zero_processes_mean(serve: Serve) -> None:
    program = serve(processes=0)
    expected = len(psutil.Process().cpu_affinity()) if sys.platform == "linux" else psutil.cpu_count()
    assert len(program.servers()) in (0 if expected == 1 else expected, expected)
