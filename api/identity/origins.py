"""Which pages may talk to us: origins of the web, and hosts that can only be this machine."""

import ipaddress
import re
from collections.abc import Iterable

_LOCAL_NAMES = frozenset(("localhost", "127.0.0.1", "[::1]"))
_HOST = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def normalise_origin(text: str) -> str:
    """An origin as browsers send it, such as `https://shop.example`; raises `ValueError`.

    Only https, as a key in a page that is not encrypted can be changed on the way; http for this machine.
    """
    scheme, _, rest = text.strip().lower().rstrip("/").partition("://")
    match = _HOST.fullmatch(rest)
    if scheme not in _DEFAULT_PORTS or match is None:
        raise ValueError(f"an origin is scheme, host and port, such as https://shop.example, got {text!r}")
    host, port = match[1], match[2]
    if scheme == "http" and host not in _LOCAL_NAMES:
        raise ValueError(f"an origin must be https unless it is this machine, got {text!r}")
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def normalise_origins(texts: Iterable[str]) -> tuple[str, ...]:
    """Each origin once, in their order; raises `ValueError`."""
    return tuple(dict.fromkeys(normalise_origin(text) for text in texts if text.strip()))


def is_loopback(host: str) -> bool:
    """Whether a server that listens on this address can only be reached from its machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_host(header: str) -> bool:
    """Whether a `Host` header names this machine by a name that no other page can have.

    A page of elsewhere can give its own name the address 127.0.0.1 and would then be same-origin with us.
    """
    match = _HOST.fullmatch(header.strip().lower())
    return match is not None and match[1] in _LOCAL_NAMES


def is_own_origin(origin: str, host_header: str) -> bool:
    """Whether a page of this origin came from us."""
    return origin.lower() in (f"http://{host_header.lower()}", f"https://{host_header.lower()}")
