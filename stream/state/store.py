"""The state store of the stream: the protocol that Redis and memory implement."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Protocol, TypeVar

from redis.exceptions import BusyLoadingError, ConnectionError, ReadOnlyError, TimeoutError

from stream.runtime.metrics import Meter
from stream.state.commit import NO_OFFSET, Claim, ClaimRead, Commit, CommitStatus

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class Store(Protocol):
    """Where the state of partitions lives. Any call may raise `ConnectionError` and may be made again.

    Keys are named without the prefix of their partition.
    """

    async def claim(self, floors: Mapping[int, int], reads: Sequence[ClaimRead] = ()) -> dict[int, Claim]:
        """Take over partitions: raise each epoch above the stored one and above its floor."""
        ...

    async def read_blobs(self, wanted: Mapping[int, Sequence[str]]) -> dict[int, list[bytes | None]]:
        """Blobs per partition, in the order of the keys; None where there is none."""
        ...

    async def read_fields(
        self, wanted: Mapping[int, tuple[str, Collection[str]]]
    ) -> dict[int, dict[str, str]]:
        """Fields of one hash of each partition, as far as they are there."""
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


async def retry(meter: Meter, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call to the store until it is answered; the watchdog ends a worker that waits too long."""
    for attempt in count():
        try:
            return await call()
        except (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OSError) as exc:
            meter.store_errors.inc()
            if attempt == 0:
                log.warning("the state store does not answer, trying again: %s", exc)
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
    raise AssertionError("count() does not end")


def stored_offset(claim: Claim, topic: str) -> int:
    """The next offset of a topic a claim found, `NO_OFFSET` for none."""
    return claim.offsets.get(topic, NO_OFFSET)
