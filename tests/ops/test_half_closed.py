"""Clients that end their side of a connection, or break off in a body, still read what they are told."""

import socket
from collections.abc import Iterator

import pytest

from api_processes import ApiProgram, read_answer
from services import unique_settings

GET = b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/predict/next-action HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
JUMP = b'{"actions": ["view", "jump"]}'


@pytest.fixture(scope="module")
def program(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProgram]:
    """The running program."""
    settings = unique_settings("127.0.0.1:1", redis_url, partitions=4)
    with ApiProgram(settings, tmp_path_factory.mktemp("api")) as running:
        yield running


def send_and_end(program: ApiProgram, *parts: bytes) -> socket.socket:
    """A connection on which this was sent, and on which nothing more will be."""
    client = program.open()
    for part in parts:
        client.sendall(part)
    client.shutdown(socket.SHUT_WR)
    return client


def read_all(client: socket.socket) -> bytes:
    received = bytearray()
    while chunk := client.recv(65_536):
        received += chunk
    return bytes(received)


def test_a_request_is_answered_though_nothing_more_will_be_sent(program: ApiProgram) -> None:
    with send_and_end(program, GET) as client:
        answer = read_answer(client)
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"


def test_a_body_is_answered_though_nothing_more_will_be_sent(program: ApiProgram) -> None:
    with send_and_end(program, POST + b"Content-Length: %d\r\n\r\n" % len(JUMP) + JUMP) as client:
        assert read_answer(client).json()["code"] == "event_type.unknown"


def test_of_several_requests_all_are_answered(program: ApiProgram) -> None:
    with send_and_end(program, GET * 3) as client:
        assert read_all(client).count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 500\r\n\r\n" + JUMP, b"Transfer-Encoding: chunked\r\n\r\n1f\r\n{"]
)
def test_a_body_that_breaks_off_is_refused(program: ApiProgram, rest: bytes) -> None:
    with send_and_end(program, POST + rest) as client:
        answer = read_answer(client)
    assert (answer.status_code, answer.json()["code"]) == (400, "body.incomplete")


def test_a_head_that_breaks_off_is_answered_by_the_end(program: ApiProgram) -> None:
    with send_and_end(program, GET[:-4]) as client:
        assert read_all(client) == b""


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}3\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity\r\n\r\n{}",
        b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_a_body_that_is_no_http_is_refused(program: ApiProgram, rest: bytes) -> None:
    with program.open() as client:
        client.sendall(POST + rest)
        answer = read_answer(client)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.not_http")


def test_what_comes_behind_a_request_takes_its_answer_from_nobody(program: ApiProgram) -> None:
    with program.open() as client:
        client.sendall(GET + b"no http\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 200 OK")


def test_a_stream_ends_with_its_client(program: ApiProgram) -> None:
    with program.open() as client:
        client.sendall(b"GET /v1/alerts/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        client.shutdown(socket.SHUT_WR)
        read_all(client)
    assert "storepulse_api_sse_clients 0.0" in program.get("/metrics").text
