"""What clients send to a Redis, as it sees it: every command with its keys, scripts' own ones too."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

_LINE = re.compile(rb"[0-9.]+ \[\d+ (\S+)\] (.*)$", re.DOTALL)
_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_CONTROL = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_END = "end of watching"


@dataclass(frozen=True)
class Sent:
    """One command; `client` is an address, or `lua` for one inside a script."""

    client: str
    words: tuple[bytes, ...]

    @property
    def name(self) -> str:
        """The command in capitals."""
        return self.words[0].decode().upper()

    def __str__(self) -> str:
        return b" ".join(word[:80] for word in self.words[:6]).decode(errors="replace")


class RedisMonitor:
    """Records all commands of a Redis; a context manager."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._lines: list[bytes] = []

    def __enter__(self) -> Self:
        self._connection: Any = self._client.connection_pool.get_connection()
        self._connection.send_command("MONITOR")  # type: ignore[no-untyped-call]  # of redis-py
        assert self._connection.read_response() == b"OK"
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.echo(_END)
        self._thread.join(30)
        self._connection.disconnect()

    def _read(self) -> None:
        while True:
            line: bytes = self._connection.read_response(timeout=None)
            if _END.encode() in line:
                return
            self._lines.append(line)

    def commands(self) -> list[Sent]:
        """All commands in their order."""
        found = []
        for line in self._lines:
            match = _LINE.match(line)
            assert match is not None, line
            words = tuple(_ESCAPE.sub(_plain, word) for word in _ARGUMENT.findall(match[2]))
            found.append(Sent(match[1].decode(), words))
        return found


def keys_of(client: Redis, commands: Sequence[Sent]) -> list[list[bytes]]:
    """The keys of each command, where Redis says they are."""
    places: Any = client.command()
    return [_keys(client, places[sent.name.lower()], sent) for sent in commands]


def _keys(client: Redis, place: Any, sent: Sent) -> list[bytes]:
    if "movablekeys" in place["flags"]:
        try:
            found: Any = client.execute_command("COMMAND GETKEYS", *sent.words)  # type: ignore[no-untyped-call]  # of redis-py
        except ResponseError as exc:
            raise AssertionError(f"Redis finds no keys in {sent.words} of {sent.client}: {exc}") from exc
        return [key.encode() if isinstance(key, str) else key for key in found]
    first, last = place["first_key_pos"], place["last_key_pos"]
    if first <= 0:
        return []
    end = len(sent.words) + last if last < 0 else last
    return list(sent.words[first : end + 1 : place["step_count"]])


def over_several_slots(commands: Sequence[Sent], keys: Iterable[Sequence[bytes]]) -> Iterator[str]:
    """Commands, scripts with all that they call, and transactions that a Redis Cluster would refuse."""
    open_blocks: dict[str, list[Sent]] = {}
    slots_of: dict[str, set[int]] = {}
    script: tuple[Sent, set[int]] | None = None
    for sent, found in zip(commands, keys, strict=True):
        slots = {key_slot(key) for key in found}
        if sent.client == "lua":
            assert script is not None, f"{sent} is of no script"
            script[1].update(slots)
            if len(script[1]) > 1:
                yield f"{script[0]} calls {sent}"
            continue
        script = (sent, slots) if sent.name in ("EVAL", "EVALSHA") else None
        if len(slots) > 1:
            yield str(sent)
        if sent.name == "MULTI":
            open_blocks[sent.client], slots_of[sent.client] = [], set()
        elif sent.name in ("EXEC", "DISCARD"):
            block = open_blocks.pop(sent.client, [])
            if len(slots_of.pop(sent.client, set())) > 1:
                yield "MULTI " + "; ".join(map(str, block))
        elif sent.client in open_blocks:
            open_blocks[sent.client].append(sent)
            slots_of[sent.client] |= slots


def _plain(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return (
        bytes.fromhex(code[1:].decode()) if code[:1] == b"x" and len(code) == 3 else _CONTROL.get(code, code)
    )
