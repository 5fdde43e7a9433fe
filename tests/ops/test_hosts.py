"""Requests that leave open for whom they are get 400."""

from collections.abc import Iterator

import pytest

from api.http.host import find_host_flaw
from api_processes import ApiProgram, read_answer
from services import unique_settings

OWN = b"Host: localhost"


@pytest.fixture(scope="module")
def program(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProgram]:
    """The running program."""
    settings = unique_settings("127.0.0.1:1", redis_url, partitions=4)
    with ApiProgram(settings, tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.mark.parametrize(
    ("line", "hosts", "code"),
    [
        (b"GET /v1/live HTTP/1.1", [OWN, b"Host: evil.example"], "host.repeated"),
        (b"GET /v1/live HTTP/1.1", [OWN, OWN], "host.repeated"),
        (b"GET /v1/live HTTP/1.1", [OWN, b"hOST: localhost"], "host.repeated"),
        (b"GET /v1/live HTTP/1.0", [OWN, OWN], "host.repeated"),
        (b"POST /v1/events HTTP/1.1", [OWN, b"Host: evil.example", b"Content-Length: 2"], "host.repeated"),
        (b"GET /v1/live HTTP/1.1", [], "host.missing"),
        (b"GET http://localhost/v1/live HTTP/1.1", [], "host.missing"),
        (b"GET /v1/live HTTP/1.1", [b"Host:"], "host.malformed"),
        (b"GET /v1/live HTTP/1.1", [b"Host: localhost, evil.example"], "host.malformed"),
        (b"GET /v1/live HTTP/1.1", [b"Host: localhost@evil.example"], "host.malformed"),
        (b"GET /v1/live HTTP/1.1", [b"Host: localhost/v1"], "host.malformed"),
        (b"GET /v1/live HTTP/1.1", [b"Host: localhost:port"], "host.malformed"),
        (b"GET /v1/live HTTP/1.1", [b"Host: localhost:65536"], "host.malformed"),
        (b"GET http://evil.example/v1/live HTTP/1.1", [OWN], "host.mismatch"),
        (b"GET HTTP://EVIL.example/v1/live HTTP/1.1", [OWN], "host.mismatch"),
        (b"GET https://localhost:8443/v1/live HTTP/1.1", [OWN], "host.mismatch"),
        (b"GET http://localhost:8000/v1/live HTTP/1.1", [b"Host: localhost:8001"], "host.mismatch"),
        (b"GET http://localhost.evil.example/v1/live HTTP/1.1", [OWN], "host.mismatch"),
        (b"GET http://evil.example?/v1/live HTTP/1.1", [OWN], "host.mismatch"),
        (b"GET http://localhost@evil.example/v1/live HTTP/1.1", [OWN], "host.malformed"),
        (b"GET ftp://localhost/v1/live HTTP/1.1", [OWN], "host.malformed"),
    ],
)
def test_for_whom_a_request_is_must_be_clear(
    program: ApiProgram, line: bytes, hosts: list[bytes], code: str
) -> None:
    with program.open() as client:
        client.sendall(b"\r\n".join((line, *hosts, b"", b"")))
        answer = read_answer(client)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    ("line", "hosts"),
    [
        (b"GET /v1/live HTTP/1.1", [OWN]),
        (b"GET /v1/live HTTP/1.1", [b"Host: [::1]:8000"]),
        (b"GET /v1/live HTTP/1.1", [b"HOST:  LocalHost:80 "]),
        (b"GET http://localhost/v1/live HTTP/1.1", [OWN]),
        (b"GET HTTP://LOCALHOST:80/v1/live HTTP/1.1", [OWN]),
        (b"GET http://localhost:8000/v1/live HTTP/1.1", [b"Host: localhost:8000"]),
    ],
)
def test_what_is_clear_is_answered(program: ApiProgram, line: bytes, hosts: list[bytes]) -> None:
    with program.open() as client:
        client.sendall(b"\r\n".join((line, *hosts, b"Connection: close", b"", b"")))
        assert read_answer(client).status_code == 200


def test_a_second_request_on_a_connection_is_looked_at_too(program: ApiProgram) -> None:
    with program.open() as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert read_answer(client).json()["code"] == "host.repeated"


def test_what_names_no_host_in_its_target_goes_by_the_header() -> None:
    host = [(b"host", b"localhost")]
    assert find_host_flaw(b"*", host, "1.1") is None
    assert find_host_flaw(b"/v1/live?u=http://evil.example", host, "1.1") is None
    assert find_host_flaw(b"//evil.example/v1/live", host, "1.1") is None
    assert find_host_flaw(b"/v1/live", [], "1.0") is None
