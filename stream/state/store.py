"""The state store of the stream: the protocol that Redis and memory implement."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Protocol, TypeVar

from redis.exceptions import DataError, RedisError

from stream.runtime.metrics import Meter
from stream.state.commit import NO_OFFSET, Claim, ClaimRead, Commit, CommitStatus, WrongType

Answer = TypeVar("Answer")
RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class Store(Protocol):
    """Where the state of partitions lives. Any call may raise `redis.RedisError` and may be made again.

    Keys are named without the prefix of their partition. All calls but `read_blobs` raise `Conflict` where a
    key holds another type than it should.
    """

    async def claim(self, floors: Mapping[int, int], reads: Sequence[ClaimRead] = ()) -> dict[int, Claim]:
        """Take over partitions: raise each epoch above the stored one and above its floor."""
        ...

    async def read_blobs(
        self, wanted: Mapping[int, Sequence[str]]
    ) -> dict[int, list[bytes | WrongType | None]]:
        """Blobs per partition, in the order of the keys; None where there is nothing."""
        ...

    async def set_aside(self, p: int, name: str, found: bytes | WrongType) -> bool:
        """Keep what was found under a name, and could not be read, in quarantine; False if it is gone."""
        ...

    async def read_fields(
        self, wanted: Mapping[int, tuple[str, Collection[str]]]
    ) -> dict[int, dict[str, str]]:
        """Fields of one hash of each partition, as far as they are there."""
        ...

    async def read_hash(self, p: int, key: str) -> dict[str, str]:
        """All fields of a hash of a partition; none where there is no such key."""
        ...

    async def keys_from(self, p: int, start: str) -> list[str]:
        """What follows `start` in every key of a partition that begins with it."""
        ...

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        """Write each commit atomically, or refuse it; raises `Conflict` where a key holds something else."""
        ...

    async def lowest(
        self, key: str, partitions: Sequence[int], limit: int
    ) -> dict[int, list[tuple[str, int]]]:
        """Per partition the members with the lowest scores of a sorted set, lowest first, up to `limit`."""
        ...


async def retry(meter: Meter, call: Callable[[], Awaitable[Answer]], *, writes: bool = False) -> Answer:
    """Make a call to the store until it is done; the watchdog ends a worker that gets no answer for long.

    What Redis refuses is asked again too, for as long as it refuses: memory, disk, a role and rights are
    mended there, and there is nothing else that a worker could do.
    """
    try:
        for attempt in count():
            try:
                answer = await call()
            except DataError:  # a mistake of ours, which no Redis ever got
                raise
            except (RedisError, OSError) as exc:
                meter.store_errors.inc()
                meter.redis.failed(exc, call)
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            else:
                meter.redis.answered(call, wrote=writes)
                return answer
    finally:
        meter.redis.give_up(call)
    raise AssertionError("count() does not end")


def stored_offset(claim: Claim, topic: str) -> int:
    """The next offset of a topic a claim found, `NO_OFFSET` for none."""
    return claim.offsets.get(topic, NO_OFFSET)
