"""For whom a request is: its `Host` header and the host in its target, which must agree."""

import re
from typing import NamedTuple

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::([0-9]{0,5}))?")
_AUTHORITY = re.compile(rb"([a-z][a-z0-9+.-]*)://([^/?#]*)")
_PORTS = {b"http": b"80", b"https": b"443"}
_LARGEST_PORT = 65_535


class HostFlaw(NamedTuple):
    """Why nobody knows for whom a request is."""

    code: str
    detail: str


def find_host_flaw(target: bytes, headers: list[tuple[bytes, bytes]], http_version: str) -> HostFlaw | None:
    """What is wrong, by RFC 9112, with the target and the headers (names in lower case); None if nothing.

    That the target's host wins over another one in the header, as the RFC has it, is what an attacker builds
    on where a proxy in front goes by the header: they must be the same.
    """
    hosts = [value.strip().lower() for name, value in headers if name == b"host"]
    if len(hosts) > 1:
        return HostFlaw("host.repeated", "a request must have exactly one Host header")
    if not hosts:
        if http_version != "1.0":
            return HostFlaw("host.missing", "an HTTP/1.1 request must have a Host header")
    elif not _is_host(hosts[0]):
        return HostFlaw("host.malformed", "Host must be a name or an address, with an optional port")
    if target.startswith(b"/"):
        return None
    named = _AUTHORITY.match(target.lower())
    if named is None:  # OPTIONS *
        return None
    if named[1] not in _PORTS:
        return HostFlaw("host.malformed", "the scheme in the target must be http or https")
    if not _is_host(named[2]):
        return HostFlaw(
            "host.malformed", "the host in the target must be a name or an address, with an optional port"
        )
    if hosts and _normalise(hosts[0], named[1]) != _normalise(named[2], named[1]):
        return HostFlaw("host.mismatch", "the target and the Host header name different hosts")
    return None


def _is_host(text: bytes) -> bool:
    match = _HOST.fullmatch(text)
    return match is not None and int(match[2] or 0) <= _LARGEST_PORT


def _normalise(host: bytes, scheme: bytes) -> tuple[bytes, bytes]:
    match = _HOST.fullmatch(host)
    if match is None:
        return host, b""
    return match[1], match[2] or _PORTS.get(scheme, b"")
