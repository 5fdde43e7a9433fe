"""What was replayed into an installation before: a file is not counted twice because it is sent again.

A visitor's state recognises the newest 1,024 ids of events, which is enough for retries and for resuming, and
not for a whole file. So each replay leaves a sample of its rows in the installation's Redis.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from struct import pack, unpack
from typing import Any, NamedTuple, cast

import orjson
import redis

from connections.redis import open_redis
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from producers.lag import LagUnknown
from sources import Source, shared_part

RECOGNISED_IDS = 1_024
"""So many newest ids of events each visitor's state recognises (`stream.visitors.session`)."""
MOST_REMEMBERED = 200
REFUSED_FROM = 0.01
"""Share of a file's rows that were sent before, from which it is refused."""


class AlreadySent(RuntimeError):
    """The installation has events of this file; says since when and what to do."""


class SentFile(NamedTuple):
    """A replay of before: `sent` of its `rows` rows are known to have been sent."""

    name: str
    rows: int
    sent: int
    at_ms: int
    digests: frozenset[int]


class ReplayMemory:
    """The replays that an installation remembers, in its Redis."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis_url
        self._client = open_redis(settings, connect_timeout_s=2.0)
        self._state_ms = settings.visitor_ttl_s * 1_000
        self._key = Keys(settings.namespace, settings.partitions).replays()

    def begin(self, source: Source, *, known: bool) -> None:
        """Remember that this file is being sent.

        Raises `AlreadySent` if it was, in whole or in part, unless that is `known`, and `LagUnknown` if Redis
        does not answer.
        """
        before = self._read()
        is_free = known or self._recognises(source, before)
        if not is_free:
            for sent in before.values():
                _check(source, sent)
        oldest_first = sorted(before, key=lambda field: before[field].at_ms)
        surplus = oldest_first[: max(0, len(before) - MOST_REMEMBERED + 1)]
        if not self._write(source, before.get(_id_of(source)), 0, surplus) and not is_free:
            _check(source, self._read()[_id_of(source)])  # somebody began with it this very moment

    def end(self, source: Source, sent: int) -> None:
        """Remember how many rows were sent by now; raises `LagUnknown`."""
        self._write(source, self._read().get(_id_of(source)), sent)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def _recognises(self, source: Source, before: Mapping[str, SentFile]) -> bool:
        """Whether no visitor can have more events, of all replays together, than their state recognises."""
        others = [sent for field, sent in before.items() if field != _id_of(source)]
        alive_from_ms = wall_clock_ms() - self._state_ms
        rows = source.n_rows + sum(sent.rows for sent in others)
        return rows <= RECOGNISED_IDS and all(sent.at_ms > alive_from_ms for sent in before.values())

    def _read(self) -> dict[str, SentFile]:
        try:
            found = cast(dict[bytes, bytes], self._client.hgetall(self._key))
        except redis.RedisError as exc:
            raise self._unknown(exc) from exc
        return {field.decode(): _decode(raw) for field, raw in found.items()}

    def _write(self, source: Source, before: SentFile | None, sent: int, surplus: Sequence[str] = ()) -> bool:
        """Whether the installation did not remember the file."""
        most = max(sent, before.sent if before is not None else 0)
        file = SentFile(source.path.name, source.n_rows, most, wall_clock_ms(), source.sample.digests)
        try:
            if surplus:
                self._client.hdel(self._key, *surplus)
            return bool(self._client.hset(self._key, _id_of(source), _encode(file)))
        except redis.RedisError as exc:
            raise self._unknown(exc) from exc

    def _unknown(self, exc: redis.RedisError) -> LagUnknown:
        return LagUnknown(f"Redis at {self._url} cannot say what was replayed before: {exc}")


def _check(source: Source, sent: SentFile) -> None:
    share = shared_part(source.sample.digests, sent.digests)
    if share < REFUSED_FROM:
        return
    how_much = "its rows" if share > 0.995 else f"about {max(1, round(share * 100))} % of its rows"
    when = datetime.fromtimestamp(sent.at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    raise AlreadySent(
        f"{source.path.name} was not sent: {how_much} were sent before, by the replay of {sent.name} at "
        f"{when} "
        f"({sent.sent:,} of {sent.rows:,} rows). Only the newest 1,024 events of each visitor would be "
        "recognised, the others counted twice. Use --again to send them anyway."
    )


def _id_of(source: Source) -> str:
    digests = _pack(source.sample.digests)
    return hashlib.blake2b(digests + str(source.n_rows).encode(), digest_size=8).hexdigest()


def _pack(digests: Iterable[int]) -> bytes:
    numbers = sorted(digests)
    return pack(f">{len(numbers)}Q", *numbers)


def _encode(file: SentFile) -> bytes:
    sample = base64.b64encode(_pack(file.digests)).decode()
    name = file.name.encode("utf-8", "replace").decode()
    return orjson.dumps(file._asdict() | {"name": name, "digests": sample})


def _decode(raw: bytes) -> SentFile:
    fields: dict[str, Any] = orjson.loads(raw)
    sample = base64.b64decode(fields.pop("digests"))
    return SentFile(**fields, digests=frozenset(unpack(f">{len(sample) // 8}Q", sample)))
