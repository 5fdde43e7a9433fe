"""Which pages may talk to us: origins of the web, and hosts that can only be this machine."""

import ipaddress
import re
from collections.abc import Iterable

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""What this machine is called by itself."""
_HOST = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.ASCII)
_ANY_PORT = ":*"
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def normalise_origin(text: str) -> str:
    """An origin as browsers send it, such as `https://shop.example`; raises `ValueError`.

    Only https, as a key in a page that is not encrypted can be changed on the way; http for this machine.
    """
    scheme, _, rest = text.strip().lower().rstrip("/").partition("://")
    match = _HOST.fullmatch(rest)
    if scheme not in _DEFAULT_PORTS or match is None:
        raise ValueError(
            f"an origin must be scheme, host and port, such as https://shop.example, got {text!r}"
        )
    host, port = match[1], match[2]
    if scheme == "http" and host not in LOCAL_NAMES:
        raise ValueError(f"an origin must use https unless it is this machine, got {text!r}")
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def normalise_origins(texts: Iterable[str]) -> tuple[str, ...]:
    """Each origin once, in their order; raises `ValueError`."""
    return tuple(dict.fromkeys(normalise_origin(text) for text in texts if text.strip()))


class OriginList:
    """Origins of a setting. One of this machine may have the port `*`, as in `http://localhost:*`: any."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises `ValueError` for what is no origin."""
        texts = [text.strip().lower() for text in texts if text.strip()]
        self._exact = frozenset(normalise_origins(text for text in texts if not text.endswith(_ANY_PORT)))
        self._any_port = frozenset(map(_check_local, (text for text in texts if text.endswith(_ANY_PORT))))

    def __contains__(self, origin: str) -> bool:
        """Whether the origin, as a browser sends it, is among them."""
        origin = origin.lower()
        if origin in self._exact:
            return True
        scheme, _, rest = origin.partition("://")
        match = _HOST.fullmatch(rest)
        return match is not None and f"{scheme}://{match[1]}" in self._any_port


def _check_local(text: str) -> str:
    origin = normalise_origin(text.removesuffix(_ANY_PORT))
    if origin.partition("://")[2] not in LOCAL_NAMES:
        raise ValueError(f"only localhost, 127.0.0.1 and [::1] may have any port, got {text!r}")
    return origin


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
    return match is not None and match[1] in LOCAL_NAMES


def is_own_origin(origin: str, host_header: str) -> bool:
    """Whether a page of this origin came from us."""
    return origin.lower() in (f"http://{host_header.lower()}", f"https://{host_header.lower()}")
