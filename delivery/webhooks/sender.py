"""The sender: one signed POST to the very address that was checked, and what came of it."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from contracts.clock import wall_clock_ms
from delivery.webhooks.deliveries import Attempt, Result, judge_status
from delivery.webhooks.endpoints import Endpoint
from delivery.webhooks.messages import Message
from delivery.webhooks.retry import parse_retry_after
from delivery.webhooks.signing import sign
from delivery.webhooks.targets import Target, TargetRules, UnsafeTarget, check_addresses, parse_target

MAX_ANSWER_BYTES = 64 * 1024
ANSWER_KEPT = 1_024
_USER_AGENT = "Storepulse-Webhooks/1"

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host; raises `OSError` for one that has none."""


async def look_up(host: str, port: int) -> list[str]:
    """The addresses the system knows."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found))


@cache
def _system_tls() -> ssl.SSLContext:
    """Trusts the system's certificate authorities, which take long to read."""
    return ssl.create_default_context()


class Sender:
    """Sends messages. No proxy, no redirect, no cookie, no kept connection: every attempt is checked anew."""

    def __init__(
        self,
        rules: TargetRules,
        *,
        timeout_s: float,
        lookup: Lookup = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` replaces the system's certificate authorities."""
        self._rules = rules
        self._timeout_s = timeout_s
        self._lookup = lookup
        self._tls = tls or _system_tls()

    async def check(self, url: str) -> Target:
        """The target, if this URL may be registered now; raises `UnsafeTarget`."""
        target = parse_target(url, self._rules)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._resolve(target)
        except OSError:  # TimeoutError is one
            raise UnsafeTarget("no_address", "has a host that does not resolve") from None
        return target

    async def send(self, endpoint: Endpoint, message: Message) -> Attempt:
        """Sends once, and never raises for what the receiver, the name or the network does."""
        at_ms = wall_clock_ms()
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                fields = await self._post(endpoint, message, at_ms)
        except TimeoutError:
            fields = {"result": Result.TIMEOUT, "detail": f"no answer within {self._timeout_s:g} s"}
        except UnsafeTarget as exc:
            fields = {"result": Result.ADDRESS, "detail": exc.detail}
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            fields = _explain(exc)
        return Attempt(at_ms=at_ms, took_ms=round((time.monotonic() - started) * 1_000), **fields)

    async def _post(self, endpoint: Endpoint, message: Message, at_ms: int) -> dict[str, Any]:
        target = parse_target(endpoint.url, self._rules)
        try:
            addresses = await self._resolve(target)
        except OSError:
            return {"result": Result.NAME, "detail": "the host does not resolve"}
        headers = sign(message.message_id, at_ms // 1_000, message.body, endpoint.signing_secrets(at_ms)) | {
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "Accept-Encoding": "identity",
        }
        url = URL(endpoint.url, encoded=True)
        if url.host != target.host:
            raise UnsafeTarget("malformed", "is ambiguous")
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        async with (
            self._open(addresses) as session,
            session.post(url, data=message.body, headers=headers, allow_redirects=False) as answer,
        ):
            kept, cut = await _read(answer, deadline)
            return {
                "result": judge_status(answer.status),
                "status": answer.status,
                "answer": _show(kept, answer.headers.get("Content-Encoding", "")),
                "cut": cut,
                "retry_after_s": parse_retry_after(answer.headers.get("Retry-After"), time.time()),
            }

    async def _resolve(self, target: Target) -> list[str]:
        found = [target.host] if target.is_address else await self._lookup(target.host, target.port)
        return check_addresses(target, found, self._rules)

    def _open(self, addresses: Sequence[str]) -> aiohttp.ClientSession:
        """A session for one request that can connect to these addresses only."""

        def make_socket(info: Any) -> socket.socket:
            family, kind, proto, _, sockaddr = info
            if sockaddr[0] not in addresses:
                raise UnsafeTarget("private_address", "resolves to an address that was not checked")
            return socket.socket(family, kind, proto)

        connector = aiohttp.TCPConnector(
            resolver=_Pinned(addresses),
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls,
            socket_factory=make_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),  # `send` has the clock, names included
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )


class _Pinned(AbstractResolver):
    """Knows the addresses that were checked, and asks nobody."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The checked addresses, whatever the host."""
        del family
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def _read(answer: aiohttp.ClientResponse, deadline: float) -> tuple[bytes, bool]:
    """The first KB of the body, and whether we stopped before its end.

    The status line decides: a body that drips, never ends or breaks off changes nothing about the answer.
    """
    body = bytearray()
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        # A little earlier than the deadline of the attempt, or the answer would be lost with it.
        async with asyncio.timeout_at(deadline - 0.02):
            while len(body) < MAX_ANSWER_BYTES:
                chunk = await answer.content.read(MAX_ANSWER_BYTES - len(body))
                if not chunk:
                    return bytes(body[:ANSWER_KEPT]), False
                body += chunk
    return bytes(body[:ANSWER_KEPT]), True


def _show(body: bytes, encoding: str) -> str:
    """The answer as text for people: no control characters, nothing unpacked."""
    if encoding.strip().lower() not in ("", "identity"):
        return "(compressed)"
    text = body.decode("utf-8", "replace")
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def _explain(exc: Exception) -> dict[str, Any]:
    """Result and detail of what went wrong, in our words: those of libraries may have addresses in them."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError | ssl.SSLError):
        return {"result": Result.TLS, "detail": "TLS failed: " + _tls_reason(exc)}
    if isinstance(exc, aiohttp.ClientResponseError | aiohttp.ClientPayloadError | ValueError):
        return {"result": Result.PROTOCOL, "detail": "the answer is not HTTP"}
    if isinstance(
        exc, aiohttp.ServerDisconnectedError | ConnectionResetError | aiohttp.ClientOSError
    ) and not (isinstance(exc, aiohttp.ClientConnectorError)):
        return {"result": Result.CONNECTION, "detail": "the connection was closed before an answer"}
    return {"result": Result.CONNECTION, "detail": "no connection"}


def _tls_reason(exc: BaseException) -> str:
    cause = getattr(exc, "certificate_error", None) or getattr(exc, "os_error", None) or exc
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "no handshake")
