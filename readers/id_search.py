"""Where an id stands in Redis: every key and every value of the installation is looked at."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from contracts.dead_letters import decode_dead_letter
from contracts.key_families import family_of
from contracts.keys import Keys

PAGE = 500
_DISTINCTIVE = 8
_OF_PARTITION = re.compile(rb"\{[0-9]+\}:(.*)", re.DOTALL)
_NOBODY = re.compile(rb"(\{alerts\}:(q:.*|places|pages)|\{access\}:.*|workers?(:.*)?|installation)$")
"""Keys of no partition, after the namespace, whose values hold no visitor ids but short texts and numbers."""


class Place(NamedTuple):
    """A key of Redis in which an id was found; `inside`: in its value, not only in its name."""

    key: str
    inside: bool


class Needle:
    """An id that is searched for.

    One of fewer than 8 characters, or of digits only, is part of many texts and numbers: it is looked for
    only where ids stand, as a whole value or member, at the end of a name, or as a JSON text.
    """

    def __init__(self, user_id: str) -> None:
        self.raw = user_id.encode()
        self.is_distinctive = len(user_id) >= _DISTINCTIVE and not user_id.isdecimal()
        quoted = orjson.dumps(user_id)
        self._json = {quoted, quoted.replace(b"/", b"\\/")}  # Redis' cjson escapes slashes
        self._inside = {text.strip(b'"') for text in self._json} | {self.raw}
        self._end = b":" + self.raw

    def is_in(self, text: bytes) -> bool:
        """Whether the id is in a name or a value."""
        if self.is_distinctive:
            return any(form in text for form in self._inside)
        return text == self.raw or text.endswith(self._end) or any(form in text for form in self._json)


Keep = Callable[[], Awaitable[None]]


async def search(
    redis: Redis, keys: Keys, needles: Sequence[Needle], *, keep: Keep | None = None
) -> list[set[Place]]:
    """The places of each needle; `keep` is called after every page of keys.

    Raises `redis.RedisError`. What is written meanwhile may be missed.
    """
    found: list[set[Place]] = [set() for _ in needles]
    start = f"{keys.namespace}:".encode()
    async for names in _pages(redis, f"{keys.namespace}:*"):
        for name in names:
            for needle, places in zip(needles, found, strict=True):
                if needle.is_in(name.removeprefix(start)):
                    places.add(Place(name.decode(errors="replace"), inside=False))
        async for name, values in _read(redis, names):
            is_free = not _may_name_visitors(name.removeprefix(start))
            for needle, places in zip(needles, found, strict=True):
                if (needle.is_distinctive or not is_free) and any(map(needle.is_in, values)):
                    places.add(Place(name.decode(errors="replace"), inside=True))
        if keep is not None:
            await keep()
    return found


def _may_name_visitors(name: bytes) -> bool:
    """Whether the values of this key, named after the namespace, may hold ids of visitors."""
    match = _OF_PARTITION.fullmatch(name)
    if match is None:
        return _NOBODY.match(name) is None
    family = family_of(match[1].decode(errors="replace"))
    return family is None or family.names_visitors


async def _pages(redis: Redis, pattern: str) -> AsyncIterator[list[Any]]:
    cursor: Any = 0
    while True:
        cursor, names = await redis.scan(cursor, match=pattern, count=PAGE)
        if names:
            yield names
        if cursor == 0:
            return


async def _read(redis: Redis, names: Sequence[bytes]) -> AsyncIterator[tuple[Any, list[Any]]]:
    """Keys with a part of their values each; large ones come several times."""
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.type(name)
    kinds = await pipe.execute()
    strings = [name for name, kind in zip(names, kinds, strict=True) if kind == b"string"]
    pipe = redis.pipeline(transaction=False)  # of many slots
    for name in strings:
        pipe.get(name)
    for name, value in zip(strings, await pipe.execute(), strict=True):
        yield name, [] if value is None else [value]
    for name, kind in zip(names, kinds, strict=True):
        reader = _READERS.get(kind)
        if reader is not None:
            async for values in reader(redis, name):
                yield name, values


async def _hash(redis: Redis, name: bytes) -> AsyncIterator[list[Any]]:
    cursor: Any = 0
    while True:
        page: Any = await redis.hscan(name, cursor, count=PAGE)
        cursor, fields = page
        yield [*fields.keys(), *fields.values()]
        if cursor == 0:
            return


async def _set(redis: Redis, name: bytes) -> AsyncIterator[list[Any]]:
    cursor: Any = 0
    while True:
        cursor, members = await redis.sscan(name, cursor, count=PAGE)
        yield list(members)
        if cursor == 0:
            return


async def _sorted(redis: Redis, name: bytes) -> AsyncIterator[list[Any]]:
    cursor: Any = 0
    while True:
        page: Any = await redis.zscan(name, cursor, count=PAGE)
        cursor, members = page
        yield [member for member, _ in members]
        if cursor == 0:
            return


async def _list(redis: Redis, name: bytes) -> AsyncIterator[list[Any]]:
    start = 0
    while True:
        values: Any = await redis.lrange(name, start, start + PAGE - 1)
        yield values
        start += PAGE
        if len(values) < PAGE:
            return


async def _stream(redis: Redis, name: bytes) -> AsyncIterator[list[Any]]:
    start = "-"
    while True:
        entries: Any = await redis.xrange(name, min=start, count=PAGE)
        yield [text for _, fields in entries for text in _texts(fields.items())]
        if len(entries) < PAGE:
            return
        start = f"({entries[-1][0].decode()}"


def _texts(items: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for name, value in items:
        yield name
        yield value
        if b"_base64" in value:  # a dead letter
            try:
                letter = decode_dead_letter(value)
            except ValueError:
                continue
            yield letter.key or b""
            yield letter.value or b""


_READERS: dict[bytes, Callable[[Redis, bytes], AsyncIterator[list[Any]]]] = {
    b"hash": _hash,
    b"set": _set,
    b"zset": _sorted,
    b"list": _list,
    b"stream": _stream,
}
