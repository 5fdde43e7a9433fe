"""The assignment: which partitions this worker owns, under which epoch, and where it reads them."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from aiokafka.errors import KafkaError

from contracts.clock import wall_clock_ms
from contracts.topics import Topics
from stream.batch.records import Record
from stream.components.component import Source
from stream.partitions.blocked import BlockedPartitions
from stream.partitions.partition import Partition, UnreadableState, timer_keys
from stream.registry import AnyTopicComponent, Registry
from stream.runtime.metrics import Meter
from stream.state.commit import NO_OFFSET, Claim, ClaimRead, Conflict
from stream.state.store import Store, retry

log = logging.getLogger(__name__)

TopicPartition = tuple[str, int]

WATCH_S = 0.5
PROBE_S = 0.02
MEND_S = 1.0
"""Blocked partitions are looked for so often, to claim anew those whose turn it is."""


class Log(Protocol):
    """The Kafka side of the scheduler."""

    async def bounds(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """First offset kept and next offset to be written, per topic partition."""
        ...

    async def ends(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Next offset to be written, per topic partition."""
        ...

    async def read(
        self, spans: Mapping[TopicPartition, tuple[int, int]]
    ) -> dict[TopicPartition, list[Record]]:
        """All records from one offset up to, not including, another; raises `KafkaError` if it cannot."""
        ...

    async def move(self, tp: TopicPartition, offset: int) -> None:
        """Go on reading at `offset`; what was read before from elsewhere is not delivered any more."""
        ...

    def note_applied(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Next offsets that are in the store now, for Kafka's own lag tools."""
        ...


class Assignment:
    """Partitions of one worker. Every claim raises the partition's epoch, which fences its former owner."""

    def __init__(self, topics: Topics, registry: Registry, store: Store, kafka: Log, meter: Meter) -> None:
        self._topics = topics.partitioned
        self._events = topics.events
        self.followed = topics.followed
        """Topics that are read beside the group."""
        self.registry = registry
        self._components = registry.topic_components(topics)
        self._reads = claim_reads(registry)
        self._store = store
        self.kafka = kafka
        self._meter = meter
        self._claiming = asyncio.Lock()
        self._epochs: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._revocations = 0
        self._revoked: dict[int, int] = {}
        """Partitions to the number of the revocation that took each last."""
        self._probed_s = 0.0
        self.space = asyncio.Event()
        """Set whenever buffers were emptied."""
        self.partitions: dict[int, Partition] = {}
        self.blocked = BlockedPartitions(meter)
        """Those of ours that are not among `partitions` until somebody has mended a key."""

    async def assign(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Claim the assigned partitions; returns where to read them. Everything buffered is forgotten."""
        numbers = sorted({partition for topic, partition in tps if topic in self._topics})
        revocations = self._revocations
        async with self._claiming:
            self.partitions = {}
            self.blocked.forget(self.blocked)
            self._places = {number: place for place, number in enumerate(numbers)}
            self.space.set()
            positions = await self._claim(numbers, revocations)
        log.info("claimed partitions %s", sorted(self.partitions))
        return self._of_group(positions)

    def revoke(self, numbers: Iterable[int]) -> None:
        """Forget partitions that are no longer ours; a commit under way is fenced by their next owner."""
        self._revocations += 1
        for number in (numbers := tuple(numbers)):
            self._revoked[number] = self._revocations
            self.partitions.pop(number, None)
        self.blocked.forget(numbers)
        self.space.set()

    def block(self, reasons: Mapping[int, str], *, backs_off: bool = False) -> None:
        """Let partitions stand still until they can be claimed anew; what is buffered is forgotten.

        Those that `backs_off` are claimed the more rarely the longer they wait.
        """
        for number, reason in reasons.items():
            self.partitions.pop(number, None)
            self.blocked.add(number, reason, backs_off=backs_off)
        self.space.set()

    async def mend(self) -> None:
        """Claim blocked partitions anew again and again, until cancelled."""
        while True:
            await asyncio.sleep(MEND_S)
            async with self._claiming:
                waiting = [number for number in self.blocked.due() if number not in self.partitions]
                try:
                    await self._read_again(waiting)
                except KafkaError as exc:
                    log.info("blocked partitions will be retried later: %s", exc)

    async def _claim(self, numbers: Sequence[int], revocations: int) -> dict[TopicPartition, int]:
        """Where to read partitions that were ours after so many revocations, without those revoked since.

        The next owner of these may have a higher epoch already: this worker would take itself for a zombie.
        """
        tps = [(topic, number) for number in numbers for topic in self._topics]
        bounds = await self.kafka.bounds(tps)
        floors = {number: self._epochs.get(number, 0) for number in numbers}
        claims = await self._claim_sound(floors)
        positions: dict[TopicPartition, int] = {}
        parts: list[Partition] = []
        for number, claim in claims.items():
            self._epochs[number] = claim.epoch
            part = self._make_partition(number, claim)
            if part is None:
                continue
            for topic in self._topics:
                start, end = bounds[topic, number]
                positions[topic, number] = part.fetched[topic] = self._position(part, topic, start, end)
                part.high[topic] = end
            parts.append(part)
        for topic, component in self._components.items():
            if component.is_read_at_claim:
                await self._read_whole(topic, component, parts)
        for part in parts:
            positions |= {(topic, part.number): part.fetched[topic] for topic in self._components}
            if self._revoked.get(part.number, 0) <= revocations:
                self.partitions[part.number] = part
        return {tp: offset for tp, offset in positions.items() if tp[1] in self.partitions}

    async def _claim_sound(self, floors: Mapping[int, int]) -> dict[int, Claim]:
        """Claim what can be; partitions in which a key holds another type than it should are blocked."""
        try:
            return await retry(self._meter, lambda: self._store.claim(floors, self._reads), writes=True)
        except Conflict as exc:
            self.block(exc.partitions)
            sound = {number: floor for number, floor in floors.items() if number not in exc.partitions}
            return await self._claim_sound(sound) if sound else {}

    def _make_partition(self, number: int, claim: Claim) -> Partition | None:
        """The partition as it was claimed; None, and blocked, if a component cannot read what is stored."""
        try:
            return Partition(
                number,
                self._events,
                claim,
                registry=self.registry,
                place=self._places[number],
                now_s=time.monotonic(),
                queued=tuple(self._components),
            )
        except UnreadableState as exc:
            self.block({number: str(exc)})
            return None

    async def _read_whole(self, topic: str, component: AnyTopicComponent, parts: Sequence[Partition]) -> None:
        """Read all records of a topic that these partitions have not applied, before their first event.

        So a deleted visitor never appears, not even for a moment, when the log is read again.
        """
        spans = {
            (topic, part.number): (part.fetched[topic], part.high[topic])
            for part in parts
            if part.fetched[topic] < part.high[topic]
        }
        found = await self.kafka.read(spans) if spans else {}
        for part in parts:
            span = spans.get((topic, part.number))
            if span is not None:
                source = Source(topic, part.number, wall_clock_ms())
                part.queues[topic].extend(component.read(found[topic, part.number], source))
                part.fetched[topic] = span[1]

    def _position(self, part: Partition, topic: str, start: int, end: int) -> int:
        """Where to read on: at the stored offset, or at the start of the log if that is not in it."""
        stored = part.stored[topic]
        if stored == NO_OFFSET:
            return start
        if stored < start:
            part.lost += start - stored
            log.error("%s[%d]: %d records deleted before they were read", topic, part.number, start - stored)
            return start
        if stored > end:
            log.warning(
                "%s[%d]: the log ends at %d, before the stored offset %d: the topic was created anew, "
                "reading all of it",
                topic,
                part.number,
                end,
                stored,
            )
            return start
        return stored

    async def probe_ends(self, ready: Iterable[Partition], disorder_ms: int) -> None:
        """Before a jump in event time, learn whether a log that seems read to its end goes on.

        What a fetch left out is not known to exist until the next fetch. In live traffic event time moves by
        milliseconds a round, so this costs nothing; in a fast replay it is one request every `PROBE_S`.
        """
        wanted = [
            (topic, part.number)
            for part in ready
            if part.span_ms() > disorder_ms
            for topic in part.read_topics()
        ]
        if wanted:
            await asyncio.sleep(self._probed_s + PROBE_S - time.monotonic())
            while not await self._answered(wanted):
                await asyncio.sleep(PROBE_S)
            self._probed_s = time.monotonic()

    async def watch_ends(self) -> None:
        """Note again and again when all there was to read was applied, until cancelled.

        Event time goes on with the clock no further than that: a visitor whose events wait in a Kafka that
        cannot be read seems silent, and is not.
        """
        while True:
            asked_ms = wall_clock_ms()
            resting = [part for part in self.partitions.values() if part.is_done]
            if resting and await self._answered([(t, part.number) for part in resting for t in self._topics]):
                for part in resting:
                    if part.is_done:
                        part.done_ms = asked_ms
            await asyncio.sleep(WATCH_S)

    async def _answered(self, tps: Sequence[TopicPartition]) -> bool:
        try:
            await self.refresh_ends(tps)
        except KafkaError as exc:
            log.info("cannot read the end offsets, retrying: %s", exc)
            return False
        return True

    async def refresh_ends(self, tps: Sequence[TopicPartition]) -> None:
        """Ask Kafka for the ends of these logs."""
        for (topic, number), end in (await self.kafka.ends(tps)).items():
            part = self.partitions.get(number)
            if part is not None:
                part.high[topic] = max(end, part.fetched[topic])

    async def rewind(self, parts: Sequence[Partition]) -> None:
        """Redis has an older state than ours: claim again, drop what is cached and read from its offsets."""
        async with self._claiming:
            numbers = [part.number for part in parts if self.partitions.get(part.number) is part]
            for number in numbers:
                del self.partitions[number]
            await self._read_again(numbers)

    async def _read_again(self, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        positions = await self._claim(numbers, self._revocations)
        for tp, offset in self._of_group(positions).items():
            await self.kafka.move(tp, offset)

    def _of_group(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Those where the group reads; who follows a topic looks at the partition itself."""
        return {tp: offset for tp, offset in positions.items() if tp[0] not in self.followed}

    async def accept_gap(self, part: Partition, topic: str, asked: int, found: int) -> bool:
        """Whether the records before `found` are missing in the log itself, not only on the way here.

        What was asked for (from `asked` on) and did not come is not in the log: deleted, or never there, as
        with compaction and transaction markers. The rest was dropped on the way and is read again.
        """
        expected = part.fetched[topic]
        if asked > expected:
            if topic not in self.followed:
                await self.kafka.move((topic, part.number), expected)
            return False
        start, _ = (await self.kafka.bounds([(topic, part.number)]))[topic, part.number]
        lost = max(0, min(start, found) - expected)
        if lost:
            part.lost += lost
            log.error("%s[%d]: %d records deleted before they were read", topic, part.number, lost)
        return True


def claim_reads(registry: Registry) -> list[ClaimRead]:
    """What is read with a claim: what components ask for, and the earliest timer of each kind."""
    return [*registry.reads, *[ClaimRead(key, "lowest") for key in timer_keys(registry).values()]]
