"""The sockets of several processes that serve one port."""

import socket
import sys

SHARES_PORT = sys.platform == "linux"
"""Only there does the kernel spread connections over the sockets that are bound to one port."""
_BACKLOG = 2_048


class PortTaken(RuntimeError):
    """Nobody can listen there; the message says why."""


def check_free(host: str, port: int) -> None:
    """Raises `PortTaken` if somebody listens there: a socket that shares its port would not notice."""
    with _bind(host, port, share=False):
        pass


def reserve(host: str, port: int) -> socket.socket:
    """A socket of this port, or of a free one for 0, that does not listen yet; raises `PortTaken`."""
    check_free(host, port)
    return _bind(host, port, share=SHARES_PORT)


def listen(reserved: socket.socket) -> socket.socket:
    """One more listening socket on the reserved port; raises `PortTaken`."""
    host, port = reserved.getsockname()[:2]
    one_more = _bind(host, port, share=True) if SHARES_PORT else reserved.dup()
    one_more.listen(_BACKLOG)
    return one_more


def _bind(host: str, port: int, *, share: bool) -> socket.socket:
    try:
        (family, kind, proto, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as exc:
        raise PortTaken(f"cannot listen on {host!r}: {exc}") from exc
    bound = socket.socket(family, kind, proto)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError as exc:
        bound.close()
        raise PortTaken(f"cannot listen on {host} port {port}: {exc.strerror}") from exc
    return bound
