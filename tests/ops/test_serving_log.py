"""The log of the API: no secret or person in it, every failed request, others by their share."""

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest

from api_processes import ApiProgram, Serve, read_answer
from ops.stack.child import Child
from services import wait_until

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


def test_the_log_of_a_container_is_a_pipe(tmp_path: Path) -> None:
    class Piped(Child):
        def _open_log(self) -> BinaryIO:
            return os.fdopen(os.dup(writes), "ab")

    reads, writes = os.pipe()
    child = Piped("part", [sys.executable, "-c", "print('it runs')"], tmp_path / "no.log")
    child.start()
    os.close(writes)
    with os.fdopen(reads, "rb") as log:
        assert log.read() == b"it runs\n"
    wait_until(lambda: not child.alive, 10, "the part to end")
