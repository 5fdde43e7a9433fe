"""Batch consumer: Faust's group, rebalance and flow control at the cost of one message per fetch.

Stock Faust wraps every message in about four asyncio tasks. Here all that one fetch brings, a run of
consecutive records for each of some topic partitions, travels as the value of ONE Faust message. Offsets are
not Faust's either: it can commit past messages whose agent raised, so only what the scheduler
says is in Redis is committed, and reading begins where Redis says.
`tests/stream/test_consumer_surface.py` holds the private methods used here against the pinned versions of
Faust and aiokafka.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from stream.consumer.consumer_thread import NOTHING_FETCHED, BatchConsumerThread, Fetch

log = logging.getLogger(__name__)

MAX_CARRIED = 2_000
"""Records in one Faust message at most: what the event loop decodes without a break (about 10 ms)."""
MAX_DELIVERIES = 8
"""Messages waiting for the agent before the batch consumer fetches no more."""
IDLE_WAIT_S = 0.25
FULL_WAIT_S = 0.005
"""Stock Faust sleeps a whole second when every partition is over its buffer limit."""


class Run(NamedTuple):
    """Consecutive records of one topic partition.

    `asked` is the offset they were asked for, and `end` the one to ask for next: what lies between them and
    is not in `records` is not in the log, or not for us, as markers and aborted records of transactions.
    """

    tp: TP
    records: Sequence[Any]
    asked: int
    end: int
    high: int
    seek_number: int


Delivery = list[Run]
"""The value of one Faust message: runs of any topic partitions, from one fetch."""


class Offsets(Protocol):
    """Who knows where to read: `stream.partitions.assignment.Assignment`."""

    async def assign(self, tps: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]: ...
    def revoke(self, numbers: Iterable[int]) -> None: ...


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, delivering runs of records from where the assignment says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.applied: dict[TP, int] = {}
        self._seek_numbers: defaultdict[TP, int] = defaultdict(int)
        self._delivered = 0
        """Messages the agent has not got yet. Faust holds back single partitions, a delivery has many."""
        self._asked: dict[TP, int] = {}
        self._strayed: set[TP] = set()
        """Partitions whose last fetch was not from where it should have been."""
        self._seeking = asyncio.Lock()
        super().__init__(*args, **kwargs)
        self._read_offset = _NoReadOffsets()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- reading ---------------------------------------------------------------------------------------

    async def _wait_next_records(self, timeout: float) -> Any:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        while self._delivered >= MAX_DELIVERIES and self.flow_active and not self.should_stop:
            await asyncio.sleep(FULL_WAIT_S)
        active = self._get_active_partitions()
        if active:
            fetch: Fetch = await self._getmany(active_partitions=active, timeout=timeout)
            self._thread.pace.is_behind = sum(map(len, fetch.records.values())) >= MAX_CARRIED
            return fetch, active
        await self._thread.call_thread(self._thread.touch)
        await asyncio.sleep(FULL_WAIT_S if self._buffered_partitions else IDLE_WAIT_S)
        return NOTHING_FETCHED, active

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Fetch once and deliver what came in as few messages as there may be."""
        seek_numbers = dict(self._seek_numbers)
        fetch, _ = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        runs = self._cut(fetch, seek_numbers)
        await self._bring_back()
        for delivery in _pack(runs):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return  # perform_seek goes back to what Redis has
            self._delivered += 1
            yield delivery[0].tp, _carry(delivery, generation)

    def _cut(self, fetch: Fetch, seek_numbers: Mapping[TP, int]) -> list[Run]:
        """The runs in what was fetched; `seek_numbers` are those from before the fetch.

        All of it is noted before any is delivered, so what is dropped on the way leaves a gap that shows.
        """
        runs = []
        fetched_of = {ensure_TP(tp): fetched for tp, fetched in fetch.records.items()}
        for tp in fetch.reached.keys() | fetched_of.keys():
            fetched, number, asked = fetched_of.get(tp, ()), self._seek_numbers[tp], self._asked.get(tp)
            if asked is None:
                continue  # perform_seek is under way
            end = self._end_of(fetch, tp, fetched, asked, moved=number != seek_numbers.get(tp, 0))
            if end == asked:
                continue
            high = fetch.ends.get(tp, 0)
            for start in range(0, len(fetched) or 1, MAX_CARRIED):
                part = fetched[start : start + MAX_CARRIED]
                part_end = part[-1].offset + 1 if start + MAX_CARRIED < len(fetched) else end
                runs.append(Run(tp, part, asked, part_end, high, number))
                asked = part_end
            self._asked[tp] = asked
        return runs

    def _end_of(self, fetch: Fetch, tp: TP, fetched: Sequence[Any], asked: int, *, moved: bool) -> int:
        """The offset up to which a fetch continues what was delivered; `asked` if it does not.

        A fetch that waits while the consumer is moved may return records of the old place or of the new one,
        and a cancelled one takes records with it. So what is not among the records is believed to be missing
        in the log only if the fetch began where it should have, with no move since; if not, seek again.
        """
        if not moved and fetch.began.get(tp) == asked:
            return max(fetch.reached.get(tp, asked), fetched[-1].offset + 1 if fetched else asked)
        if fetched and fetched[0].offset == asked:
            return int(fetched[-1].offset) + 1
        if fetched or (not moved and fetch.reached.get(tp, asked) != asked):
            self._strayed.add(tp)
        return asked

    async def _bring_back(self) -> None:
        """Seek again where a fetch was from another place than the one asked for."""
        while self._strayed:
            tp = self._strayed.pop()
            if tp in self._asked:
                await self._thread.call_thread(self._thread.go_to, tp, self._asked[tp])

    def collect(self, delivery: Delivery) -> Iterator[Run]:
        """The runs of a delivery the agent has got, less those fetched before the consumer was moved."""
        self._delivered = max(0, self._delivered - 1)
        for run in delivery:
            if run.seek_number == self._seek_numbers[run.tp]:
                yield run

    # -- where to read ---------------------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Go to the offsets in Redis. Every earlier hook is undone by Faust's recovery, this one is last."""
        async with self._seeking:
            offsets: Offsets = self.app.offsets
            self._delivered = 0
            for tp in self.assignment():
                self._seek_numbers[tp] += 1
                self._asked.pop(tp, None)
            positions = await offsets.assign([(tp.topic, tp.partition) for tp in self.assignment()])
            self.applied.clear()
            for tp, offset in positions.items():
                await self.move(tp, offset)

    async def move(self, tp: tuple[str, int], offset: int) -> None:
        """See `stream.partitions.assignment.Log.move`."""
        faust_tp = TP(*tp)
        self._seek_numbers[faust_tp] += 1
        self._asked[faust_tp] = offset
        await self._thread.call_thread(self._thread.go_to, faust_tp, offset)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget revoked partitions once Faust has waited for its streams."""
        await super().on_partitions_revoked(revoked)
        self.app.offsets.revoke({tp.partition for tp in revoked})
        for tp in revoked:
            self.applied.pop(tp, None)

    # -- Kafka's committed offsets: a hint for lag tools, Redis has the truth ---------------------------

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Carriers make every jump look like a gap; there is nothing to track."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        return [tp for tp in self.applied if topics is None or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.applied.get(tp)

    def note_applied(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Next offsets that are in Redis now."""
        self.applied.update({TP(*tp): offset for tp, offset in offsets.items()})


class _NoReadOffsets(defaultdict[TP, int | None]):
    """Faust drops messages below the newest it delivered, also after it was told to seek back. We do not."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        """Remember nothing."""

    def __missing__(self, tp: TP) -> None:
        return None


def _pack(runs: Iterable[Run]) -> Iterator[Delivery]:
    """Runs put together up to `MAX_CARRIED` records: in live traffic one holds two or three."""
    delivery: Delivery = []
    size = 0
    for run in runs:
        if delivery and size + len(run.records) > MAX_CARRIED:
            yield delivery
            delivery, size = [], 0
        delivery.append(run)
        size += len(run.records)
    if delivery:
        yield delivery


def _carry(delivery: Delivery, generation: int) -> ConsumerMessage:
    """The Faust message of a delivery; Faust sees the end of its first run."""
    tp, end = delivery[0].tp, delivery[0].end
    return ConsumerMessage(
        tp.topic, tp.partition, end - 1, 0.0, 0, None, None, delivery, None, 0, 0, tp,
        generation_id=generation,
    )  # fmt: skip
