"""Free TCP ports on the loopback address."""

import random
import socket
import zlib

import psutil

LOWEST, HIGHEST = 20_000, 32_000
"""Below the range the kernel hands to outgoing connections. A port of that range is not ours to keep: while a
server is restarted, a client that dials its old port could be given that very port and talk to itself."""

LOOPBACK = "127.0.0.1"

BLOCK = 20
"""Ports of one stack: those from its first on."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return not is_open(LOOPBACK, port)


def is_open(host: str, port: int, timeout_s: float = 0.5) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout_s):
            return True
    except OSError:
        return False


def listens(pid: int, port: int) -> bool:
    """Whether this process of ours, or one that it started, listens on this port."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return any(
            connection.laddr.port == port
            for member in family
            for connection in member.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        )
    except psutil.NoSuchProcess:
        return False


def preferred_port(state: str, place: int) -> int:
    """The same port for the same folder of a stack and the same place in its block, in every run."""
    blocks = (HIGHEST - LOWEST) // BLOCK
    return LOWEST + zlib.crc32(state.encode("utf-8", "replace")) % blocks * BLOCK + place % BLOCK


def pick_port(preferred: int | None = None) -> int:
    """`preferred` if it is free, else a random free port; raises `OSError` if a hundred tries find none."""
    if preferred is not None and is_free(preferred):
        return preferred
    chooser = random.SystemRandom()
    for _ in range(100):
        port = chooser.randint(LOWEST, HIGHEST)
        if is_free(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST}")
