"""The API as real processes on a port: replaced when they die, ended in order, added up, limited."""

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api_processes import ApiProgram, read_answer, send_head
from contracts.settings import Settings
from ops.serving import managed_process
from ops.serving.listening import PortTaken, reserve
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from services import unique_settings, wait_until

NO_KAFKA = "127.0.0.1:1"
Serve = Callable[..., ApiProgram]


@pytest.fixture
def serve(redis_url: str, tmp_path: Path) -> Iterator[Serve]:
    """`serve(processes=2, pre_stop_s=...)`: the running program."""
    with ExitStack() as running:

        def start(processes: int = 1, env: dict[str, str] | None = None, **overrides: object) -> ApiProgram:
            settings = unique_settings(NO_KAFKA, redis_url, partitions=4, **overrides)
            return running.enter_context(ApiProgram(settings, tmp_path, processes=processes, env=env))

        yield start


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
    settings = unique_settings(NO_KAFKA, redis_url, partitions=4, api_port=pick_port())
    with reserve("127.0.0.1", settings.api_port) as reserved:
        place = managed_process.ManagedProcess(0, reserved, tmp_path, settings_environment(settings))
        place.start()
        try:
            wait_until(lambda: not place.check() and place.was_ready, 60, "the process to serve")
            monkeypatch.setattr(managed_process, "HUNG_S", 2.0)
            place.child.suspend()
            wait_until(lambda: "not heard of" in place.check(), 30, "the process to be missed")
            wait_until(lambda: "exit code -9" in place.check(), 30, "its end to be seen")
            wait_until(lambda: "started again" in place.check(), 30, "another")
        finally:
            place.child.kill()
            place.close()


def test_a_port_that_somebody_listens_on_cannot_be_reserved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortTaken, match="in use"):
        reserve("127.0.0.1", taken.getsockname()[1])


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer, which must be a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


def test_heads_that_are_too_large_or_no_http_are_refused_with_a_problem(serve: Serve) -> None:
    program = serve()
    heads = {
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Large: " + b"x" * 10_000_000: (431, "head.too_large"),
        b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X-N: 1\r\n" * 10_000 + b"\r\n": (431, "head.too_large"),
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Large: " + b"x" * 33_000 + b"\r\n\r\n": (431, "head.too_large"),
        b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n": (414, "url.too_long"),
        b"GET /" + b"x" * 9_000_000: (414, "url.too_long"),
        b"hello\r\n\r\n": (400, "request.not_http"),
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": (
            400,
            "request.not_http",
        ),
    }
    for head, expected in heads.items():
        with program.open() as client:
            client.sendall(head)
            answer = read_answer(client)
            assert problem(answer) == expected
            assert answer.headers["connection"] == "close"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert program.get("/livez").status_code == 200


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.2"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_body_behind_the_offer_of_another_protocol_is_read(serve: Serve, offer: str, at_once: bool) -> None:
    program, body = serve(), b'{"actions": ["view", "jump"]}'
    fields = (
        "Connection: close, Upgrade, HTTP2-Settings",
        f"Upgrade: {offer}",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    with program.open() as client:
        lines = ("POST /v1/predict/next-action HTTP/1.1", "Host: localhost", *fields, "", "")
        client.sendall("\r\n".join(lines).encode() + (body if at_once else b""))
        if not at_once:
            client.sendall(body)
        assert problem(read_answer(client)) == (422, "event_type.unknown")


def test_a_tunnel_is_refused_like_any_method(serve: Serve) -> None:
    program = serve()
    with program.open() as client:
        client.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert read_answer(client).status_code >= 400
    assert program.get("/livez").status_code == 200


def test_what_is_sent_too_slowly_is_given_up(serve: Serve) -> None:
    program = serve()
    with program.open() as silent, program.open() as head, program.open() as typed, program.open() as raw:
        head.sendall(b"GET /livez HTTP/1.1\r\nHost:")
        send_head(raw, "POST /v1/events", "Content-Type: application/json", "Content-Length: 50")
        raw.sendall(b"[")
        send_head(
            typed, "POST /v1/predict/next-action", "Content-Type: application/json", "Content-Length: 50"
        )
        assert problem(read_answer(head)) == (408, "head.timeout")
        assert problem(read_answer(raw)) == (408, "body.timeout")
        assert problem(read_answer(typed)) == (408, "body.timeout")
        assert silent.recv(100) == b""


def test_a_large_body_is_refused_in_a_way_that_its_sender_sees(serve: Serve) -> None:
    program = serve()
    for path in ("/v1/events", "/v1/predict/next-action", "/v1/live", "/v1/privacy/deletions"):
        for length in ("Content-Length: 4000000", "Transfer-Encoding: chunked"):
            with program.open() as client:
                send_head(
                    client, f"POST {path}", "Content-Type: application/json", "Connection: close", length
                )
                chunk = b"x" * 4_000_000
                client.sendall(
                    chunk if "Length" in length else b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk)
                )
                expected = (405, "method.not_allowed") if path == "/v1/live" else (413, "body.too_large")
                assert problem(read_answer(client)) == expected, (path, length)


def test_a_connection_is_kept_after_an_early_answer_to_a_small_body(serve: Serve) -> None:
    program = serve()
    with httpx.Client(base_url=program.url) as client:
        for _ in range(3):
            refused = client.post("/v1/live", content=b"x" * 100)
            assert refused.status_code == 405
            assert "connection" not in refused.headers
            assert client.get("/livez").status_code == 200


def test_beyond_the_connections_the_answer_is_busy_and_the_last(serve: Serve) -> None:
    program = serve(api_max_connections=40)
    with ExitStack() as clients:
        idle = [clients.enter_context(program.open()) for _ in range(400)]
        busy = program.get("/v1/live")
        assert problem(busy) == (503, "server.busy")
        assert busy.headers["connection"] == "close"
        send_head(idle[0], "GET /v1/live", "Connection: close")  # among the first
        assert read_answer(idle[0]).status_code == 200
    wait_until(lambda: program.get("/v1/live").status_code == 200, 10, "the places to be free again")


def test_one_address_can_be_kept_from_taking_all_connections(serve: Serve) -> None:
    program = serve(api_max_connections_per_address=3)
    with ExitStack() as clients:
        idle = [clients.enter_context(program.open()) for _ in range(3)]
        assert problem(program.get("/v1/live")) == (503, "server.busy")
        with socket.create_connection(program.address, source_address=("127.0.0.2", 0)) as other:
            send_head(other, "GET /v1/live", "Connection: close")
            assert read_answer(other).status_code == 200
        idle[0].close()
        wait_until(lambda: program.get("/v1/live").status_code == 200, 10, "a place to be free again")


SECRETS = {
    "bearer": "sk_live_abcdefghijkl_0123456789012345678901234567890123456789abc",  # pragma: allowlist secret
    "page": "pk_live_mnopqrstuvwx_0123456789012345678901234567890123456789abc",  # pragma: allowlist secret
    "webhook secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "email": "planted.person@shop.example",
    "card": "4111111111111111",
    "address": "198.51.100.77",
    "address 6": "2001:db8:77::1",
    "visitor": "planted-visitor-4711",
    "product": "planted-product-4711",
}


def plant(program: ApiProgram) -> None:
    """Sends every secret in every place a request has."""
    url = program.url
    with httpx.Client(base_url=url, timeout=30) as client:
        for secret in SECRETS.values():
            headers = {
                "Authorization": f"Bearer {secret}",
                "User-Agent": secret,
                "Cookie": f"session={secret}",
                "X-Forwarded-For": secret,
                "X-Api-Key": secret,
                "X-Request-Id": "" if "planted-" in secret else secret,  # an id of theirs is logged as it is
                "Referer": f"https://shop.example/?q={secret}",
            }
            body = {"event_type": "view", "user_id": secret, "product_id": secret, "note": secret}
            for method, path in (
                ("GET", f"/v1/users/{secret}"),
                ("GET", f"/v1/users/{secret}/next-action"),
                ("GET", f"/v1/products/{secret}/demand?from={secret}"),
                ("GET", f"/no/such/{secret}?api_secret={secret}&token={secret}"),
                ("GET", f"/v1/alerts?kind={secret}&after={secret}"),
                ("GET", f"/v1/alerts/stream?ticket={secret}"),
                ("POST", f"/v1/events?validate={secret}"),
                ("POST", "/v1/events"),
                ("POST", "/v1/predict/next-action"),
                ("POST", "/v1/privacy/deletions"),
                ("DELETE", f"/v1/webhooks/{secret}"),
            ):
                with suppress(httpx.HTTPError):
                    client.request(method, path, headers=headers, json=body if method == "POST" else None)
            with program.open() as raw:
                raw.sendall(f"BREW /{secret} {secret}\r\nX: {secret}\r\n\r\n".encode())
                read_answer(raw)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_planted_secret_is_in_the_log(serve: Serve, log_format: str) -> None:
    program = serve(processes=2, log_format=log_format, log_requests=1.0)
    plant(program)
    program.get("/v1/live")
    program.terminate()
    assert program.await_end() == 0
    log = program.log()
    assert "/v1/users/{user_id:path}" in log
    assert {name for name, secret in SECRETS.items() if secret in log} == set()
    if log_format == "json":
        lines = [json.loads(line) for line in log.splitlines()]
        assert all({"ts", "level", "logger", "message"} <= line.keys() for line in lines)
        (live,) = [line for line in lines if line.get("route") == "/v1/live" and line["status"] == 200]
        assert live["method"] == "GET"
        assert live["duration_ms"] > 0
        assert re.fullmatch("[0-9a-f]{32}", live["request_id"])


def test_failed_requests_are_always_logged_and_others_by_their_share(serve: Serve) -> None:
    program = serve(log_format="json", log_requests=0.0)
    for _ in range(5):
        program.get("/v1/live")
        program.get("/no/such/path")
    program.terminate()
    assert program.await_end() == 0
    requests = [line for line in map(json.loads, program.log().splitlines()) if "status" in line]
    assert [line["route"] for line in requests if line["status"] == 404] == ["unmatched"] * 5
    assert not [line for line in requests if line["status"] < 300]


def test_one_per_core_is_what_zero_processes_mean(serve: Serve) -> None:
    program = serve(processes=0)
    expected = len(psutil.Process().cpu_affinity()) if sys.platform == "linux" else psutil.cpu_count()
    assert len(program.servers()) in (0 if expected == 1 else expected, expected)
