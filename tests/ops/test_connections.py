"""Connections to the API: no HTTP, too large, too slow or too many are refused, and their sender sees it."""

import socket
from contextlib import ExitStack

import httpx
import pytest

from api_processes import Serve, read_answer, send_head
from services import wait_until


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
        b"GET /livez HTTP/2.0\r\nHost: localhost\r\n\r\n": (400, "request.not_http"),
        b"GET /livez#x HTTP/1.1\r\nHost: localhost\r\n\r\n": (400, "request.not_http"),
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n": (
            400,
            "request.not_http",
        ),
        b"POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": (
            400,
            "request.not_http",
        ),
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
