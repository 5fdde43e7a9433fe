"""One attempt at receivers that behave in every way: real connections, TLS included."""

import asyncio
import shutil
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from delivery.webhooks.deliveries import Attempt, Result
from delivery.webhooks.endpoints import Endpoint, Filters, Secret
from delivery.webhooks.messages import make_test_message
from delivery.webhooks.sender import ANSWER_KEPT, Sender
from delivery.webhooks.signing import InvalidSignature, make_secret
from delivery.webhooks.targets import TargetRules, UnsafeTarget
from receivers import (
    Answer,
    Receiver,
    babble,
    bomb,
    drip_body,
    drip_head,
    hang,
    make_certificate,
    open_receiver,
    say,
    send_endlessly,
    server_tls,
    slam,
)
from services import lack

AT_MS = 1_760_000_000_000
SECRET = make_secret()
MESSAGE = make_test_message("1", AT_MS)
LOCAL = TargetRules(allow_private=True)
PUBLIC = TargetRules(ports=frozenset((443, 8443)))


def endpoint(url: str, *secrets: Secret) -> Endpoint:
    return Endpoint("ep_0", url, "", Filters(), secrets or (Secret(SECRET, AT_MS),), AT_MS, "")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver(say(200)) as receiver:
        yield receiver


async def send(url: str, timeout_s: float = 10.0, **options: object) -> Attempt:
    return await Sender(LOCAL, timeout_s=timeout_s, **options).send(endpoint(url), MESSAGE)  # type: ignore[arg-type]


async def test_a_message_arrives_signed_and_whole(receiver: Receiver) -> None:
    receiver.answer = say(204)
    attempt = await send(receiver.url)
    (request,) = receiver.received
    assert (attempt.result, attempt.status, attempt.answer, attempt.cut) == (Result.DELIVERED, 204, "", False)
    assert request.body == MESSAGE.body
    assert request.message_id == "test-1"
    assert request.verify(SECRET)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["host"] == receiver.url.split("/")[2]
    assert "cookie" not in request.headers
    with pytest.raises(InvalidSignature):
        request.verify(make_secret())


@pytest.mark.parametrize(
    ("answer", "result", "status"),
    [
        (say(500, b"broken"), Result.STATUS, 500),
        (say(404), Result.STATUS, 404),
        (say(410), Result.GONE, 410),
        (say(429, Retry_After="86400"), Result.THROTTLED, 429),
        (say(503, Retry_After="nonsense"), Result.THROTTLED, 503),
        (babble, Result.PROTOCOL, None),
        (slam, Result.CONNECTION, None),
    ],
)
async def test_each_failure_has_its_name(
    receiver: Receiver, answer: Answer, result: Result, status: int | None
) -> None:
    receiver.answer = answer
    attempt = await send(receiver.url)
    assert (attempt.result, attempt.status) == (result, status)
    assert attempt.retry_after_s == (86_400 if status == 429 else None)


async def test_a_redirect_is_a_failure_and_never_followed(receiver: Receiver) -> None:
    async with open_receiver(say(200)) as secret_service:
        for status in (301, 302, 303, 307, 308):
            receiver.answer = say(status, Location=secret_service.url)
            assert (await send(receiver.url)).result is Result.REDIRECT
        assert secret_service.received == []


@pytest.mark.parametrize("answer", [hang, drip_head])
async def test_who_hangs_or_drips_the_head_of_an_answer_is_cut_by_the_total_timeout(
    receiver: Receiver, answer: Answer
) -> None:
    receiver.answer = answer
    attempt = await send(receiver.url, timeout_s=0.4)
    assert (attempt.result, attempt.status, attempt.answer) == (Result.TIMEOUT, None, None)
    assert attempt.detail == "no answer within 0.4 s"


async def test_a_name_that_is_never_resolved_is_cut_by_the_same_timeout() -> None:
    async def never(_: str, __: int) -> list[str]:
        await hang(None, None)  # type: ignore[arg-type]
        raise AssertionError

    attempt = await send("https://slow.example/", timeout_s=0.2, lookup=never)
    assert attempt.result is Result.TIMEOUT


@pytest.mark.parametrize("answer", [drip_body, send_endlessly])
async def test_the_status_line_decides_and_a_body_without_an_end_is_cut(
    receiver: Receiver, answer: Answer
) -> None:
    receiver.answer = answer
    attempt = await send(receiver.url, timeout_s=0.6)
    assert (attempt.result, attempt.status, attempt.cut) == (Result.DELIVERED, 200, True)
    assert attempt.answer is not None
    assert 0 < len(attempt.answer) <= ANSWER_KEPT


async def test_a_compressed_bomb_is_not_unpacked(receiver: Receiver) -> None:
    receiver.answer = bomb
    tracemalloc.start()
    try:
        attempt = await send(receiver.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (attempt.result, attempt.answer) == (Result.DELIVERED, "(compressed)")
    assert peak < 80 * 2**20  # the receiver, in this process too, makes it of 64 MB of zeros


async def test_the_first_kilobyte_of_the_answer_is_kept_as_harmless_text(receiver: Receiver) -> None:
    receiver.answer = say(500, "é\x1b[31m\x00".encode() + b"\xff" + b"a" * 5_000)
    attempt = await send(receiver.url)
    assert attempt.answer is not None
    assert attempt.answer.startswith("é\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}")
    assert len(attempt.answer) < ANSWER_KEPT
    assert not attempt.cut


async def test_a_closed_port_and_an_unknown_name_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert (await send(f"http://127.0.0.1:{port}/")).result is Result.CONNECTION
    assert (await send("https://nothing.invalid/")).result is Result.NAME


async def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_receiver(say(200)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await send(receiver.url)).result is Result.DELIVERED
        assert proxy.received == []


class Names:
    """A name server whose answers change: the next one each time it is asked, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.left = list(answers)
        self.asked = 0

    async def look_up(self, host: str, port: int) -> list[str]:
        del host, port
        self.asked += 1
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


async def test_a_name_is_resolved_at_each_send_and_refused_once_it_leads_inside(receiver: Receiver) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])
    rules = TargetRules(ports=frozenset((port,)))
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    sender = Sender(rules, timeout_s=10, lookup=names.look_up)
    url = f"https://rebind.example.com:{port}/"
    assert (await sender.check(url)).host == "rebind.example.com"
    attempt = await sender.send(endpoint(url), MESSAGE)
    assert attempt.result is Result.ADDRESS
    assert names.asked == 2
    assert receiver.received == []
    with pytest.raises(UnsafeTarget) as caught:
        await sender.check(url)
    assert caught.value.code == "url.private_address"


async def test_the_connection_goes_to_the_address_that_was_checked_and_the_name_is_asked_once(
    receiver: Receiver,
) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    names = Names(["127.0.0.1"], ["203.0.113.9"])
    url = f"http://somewhere.example:{port}/hook"
    sender = Sender(LOCAL, timeout_s=10, lookup=names.look_up)
    assert (await sender.send(endpoint(url), MESSAGE)).result is Result.DELIVERED
    assert names.asked == 1
    assert receiver.received[0].headers["host"] == f"somewhere.example:{port}"


async def test_a_url_that_is_no_longer_allowed_is_not_asked(receiver: Receiver) -> None:
    attempt = await Sender(PUBLIC, timeout_s=10).send(endpoint(receiver.url), MESSAGE)
    assert attempt.result is Result.ADDRESS
    assert attempt.detail is not None
    assert attempt.detail.startswith("url must begin with https://")
    assert receiver.received == []


async def test_both_secrets_sign_during_an_overlap_and_one_after_it(receiver: Receiver) -> None:
    old, new = make_secret(), make_secret()
    over = Secret(old, AT_MS, until_ms=2**45)
    ended = Secret(old, AT_MS, until_ms=AT_MS)
    sender = Sender(LOCAL, timeout_s=10)
    for before in (over, ended):
        await sender.send(endpoint(receiver.url, Secret(new, AT_MS), before), MESSAGE)
    during, after = receiver.received
    assert during.verify(old)
    assert during.verify(new)
    assert after.verify(new)
    with pytest.raises(InvalidSignature):
        after.verify(old)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        lack("no openssl on this machine to make a certificate with")
    return make_certificate(tmp_path, "DNS:receiver.example")


async def test_tls_is_verified_by_the_name_and_the_authority(certificate: tuple[Path, Path]) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    names = Names(["127.0.0.1"])
    async with open_receiver(say(200), server_tls(*certificate)) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        named = f"https://receiver.example:{port}/hook"
        good = await send(named, tls=trusting, lookup=names.look_up)
        unknown_authority = await send(named, lookup=names.look_up)
        other_name = await send(f"https://other.example:{port}/", tls=trusting, lookup=names.look_up)
        by_address = await send(receiver.url, tls=trusting)
    assert good.result is Result.DELIVERED
    assert receiver.received[0].headers["host"] == f"receiver.example:{port}"
    assert [one.result for one in (unknown_authority, other_name, by_address)] == [Result.TLS] * 3
    assert len(receiver.received) == 1
    assert "self-signed certificate" in unknown_authority.detail
    assert "certificate is not valid for 'other.example'" in other_name.detail


async def test_a_server_that_speaks_garbage_instead_of_tls_fails_as_tls() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        attempt = await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert attempt.result is Result.TLS
