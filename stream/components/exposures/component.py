"""Exposures of a partition's visitors: what was recommended, and what the visitors did of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.buckets import GRAIN_MS, Grain, bucket_start
from contracts.dead_letters import DeadLetter
from contracts.exposures import (
    FOLLOW_MS,
    Exposure,
    VisitorExposures,
    check_exposure_key,
    check_exposures,
    decode_exposure,
    pack_exposures,
    unpack_exposures,
)
from contracts.fields import InvalidEvent
from contracts.key_families import EXPOSED, EXPOSURE_BUCKETS, EXPOSURES, bucket_key
from contracts.record_keys import check_place
from contracts.settings import Settings
from contracts.subjects import Subject, SubjectKind
from contracts.topics import EXPOSURES as TOPIC
from stream.batch.counts import BucketCounts, grow
from stream.batch.records import Record, UnreadableRecord
from stream.batch.result import NO_CHANGE, Change
from stream.components.component import (
    Applied,
    Source,
    StateReader,
    SubjectValues,
    TopicComponent,
    TopicRecords,
)
from stream.components.exposures.attribution import add_exposure, attribute, new_actions
from stream.components.forgotten import read_cuts
from stream.components.letters import letter_of
from stream.state.commit import ClaimRead
from stream.state.writes import AddToHashes, RemoveFromHash, SetInHash, Write

TTL_S = 2 * 86_400
MOST = 50_000
"""Visitors of a partition whose exposures are followed at once; the oldest are dropped first."""
_VISITOR_BYTES = 200
"""About what one takes in memory."""


class ExposureRecord(NamedTuple):
    """One record of the topic on its way through the stream: an exposure or a dead letter."""

    offset: int
    exposure: Exposure | None
    letter: DeadLetter | None = None


class ExposuresState(NamedTuple):
    """Visitors with exposures that something may follow from, to the time of the newest (epoch ms).

    `known` is as before the last batch that changed any; the step after it, which comes once the batch is
    stored, puts what it changed into `known`.
    """

    known: dict[str, int]
    newer: Mapping[str, int] = {}
    dropped: frozenset[str] = frozenset()

    def settled(self) -> dict[str, int]:
        """All of them, those that changed last at the end."""
        for user_id in self.dropped:
            self.known.pop(user_id, None)
        for user_id, at_ms in self.newer.items():
            self.known.pop(user_id, None)
            self.known[user_id] = at_ms
        return self.known


class Exposures(TopicComponent[ExposuresState, VisitorExposures, ExposureRecord]):
    """Applies the topic of exposures; of other visitors' batches it looks at nothing but the ids."""

    name = "exposures"
    topic = TOPIC
    reads = (ClaimRead(EXPOSED, "hash"),)
    values = SubjectValues(
        SubjectKind.VISITOR, EXPOSURES, TTL_S, pack_exposures, unpack_exposures, check_exposures
    )

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.partitions
        self._currency = settings.currency
        self._secret = settings.deletion_secret.get_secret_value()
        self._lifetimes_s: dict[Grain, int] = {"hour": settings.hour_ttl_s, "day": settings.day_ttl_s}

    def load(self, found: Mapping[str, Any]) -> ExposuresState:
        """See `Component.load`."""
        times = {user_id: int(text) for user_id, text in found.get(EXPOSED, {}).items()}
        return ExposuresState(dict(sorted(times.items(), key=lambda item: (item[1], item[0]))))

    def size(self, state: ExposuresState) -> int:
        """See `Component.size`."""
        return len(state.known) * _VISITOR_BYTES

    def subjects(self, applied: Applied[VisitorExposures]) -> Collection[str]:
        """See `Component.subjects`."""
        known = applied.state.settled()
        return applied.visitors.keys() & known.keys() if known else ()

    def apply(self, state: ExposuresState, applied: Applied[VisitorExposures]) -> Change:
        """See `Component.apply`."""
        changed, hours = dict[str, VisitorExposures](), BucketCounts()
        for user_id, known in applied.values.items():
            if known is not None:
                actions = new_actions(applied.before.get(user_id), applied.visitors[user_id])
                after = attribute(known, actions, self._currency, hours)
                if after is not known:
                    changed[user_id] = after
        if not (changed or hours):
            return NO_CHANGE
        return Change(writes=list(self._bucket_writes(hours, applied.clock.max_event_ms)), values=changed)

    def forget(self, state: ExposuresState, subject: Subject) -> Change:
        """See `Component.forget`."""
        if subject.kind is not SubjectKind.VISITOR or (
            subject.id not in state.known and subject.id not in state.newer
        ):
            return NO_CHANGE
        newer = {user_id: at_ms for user_id, at_ms in state.newer.items() if user_id != subject.id}
        return Change(
            ExposuresState(state.known, newer, state.dropped | {subject.id}),
            [RemoveFromHash(EXPOSED, [subject.id])],
        )

    def read(self, records: Iterable[Record], source: Source) -> list[ExposureRecord]:
        """See `TopicComponent.read`."""
        return [self._read(record, source) for record in records]

    def _read(self, record: Record, source: Source) -> ExposureRecord:
        try:
            if isinstance(record, UnreadableRecord):
                raise InvalidEvent("record.unreadable", record.reason)
            came_ms = source.now_ms if record.timestamp < 0 else min(record.timestamp, source.now_ms)
            exposure = decode_exposure(record.value, received_ms=came_ms)
            check_exposure_key(record.key, exposure)
            check_place(exposure.user_id, source.partition, self._partitions)
        except Exception as exc:  # the boundary: no record ends a worker, which would meet it again
            return ExposureRecord(record.offset, None, letter_of(record, source, exc))
        return ExposureRecord(record.offset, exposure)

    def record_subjects(self, items: Sequence[ExposureRecord]) -> set[str]:
        """See `TopicComponent.record_subjects`."""
        return {item.exposure.user_id for item in items if item.exposure is not None}

    async def look_up(
        self, state: ExposuresState, items: Sequence[ExposureRecord], reader: StateReader
    ) -> Mapping[str, int]:
        """Until when exposures of visitors who were deleted are kept out."""
        return await read_cuts(reader, self.record_subjects(items), self._secret)

    def apply_records(
        self, state: ExposuresState, records: TopicRecords[ExposureRecord, VisitorExposures]
    ) -> Change:
        """See `TopicComponent.apply_records`."""
        cuts: Mapping[str, int] = records.looked_up
        known, newest_ms = state.settled(), records.clock.max_event_ms
        values, newer, hours = dict[str, VisitorExposures](), dict[str, int](), BucketCounts()
        told = [item.exposure for item in records.items if item.exposure is not None]
        taken = [exposure for exposure in told if exposure.at_ms > cuts.get(exposure.user_id, 0)]
        for exposure in taken:
            user_id = exposure.user_id
            before = values.get(user_id) or records.values.get(user_id)
            after = add_exposure(before, exposure, hours)
            if after is None or after is before:
                continue
            values[user_id] = after
            newer[user_id] = max(exposure.at_ms, newer.get(user_id, known.get(user_id, 0)))
        dropped = _find_dropped(known, newer, newest_ms - FOLLOW_MS)
        writes: list[Write] = []
        if newer:
            writes.append(SetInHash(EXPOSED, newer, TTL_S))
        if dropped:
            writes.append(RemoveFromHash(EXPOSED, dropped))
        letters = [item.letter for item in records.items if item.letter is not None]
        return Change(
            ExposuresState(known, newer, dropped),
            [*writes, *self._bucket_writes(hours, newest_ms)],
            values,
            counters={"exposures": len(taken), "rejected": len(letters), "forgotten": len(told) - len(taken)},
            letters=letters,
        )

    def _bucket_writes(self, hours: BucketCounts, now_ms: int) -> Iterator[Write]:
        """Additions to hours and days; a bucket past its lifetime is left alone."""
        for grain, ttl_s in self._lifetimes_s.items():
            buckets: BucketCounts = {}
            for hour_ms, fields in hours.items():
                sums = buckets.setdefault(bucket_start(hour_ms, grain), {})
                for name, number in fields.items():
                    grow(sums, name, number)
            for start_ms, sums in buckets.items():
                if start_ms + GRAIN_MS[grain] + ttl_s * 1_000 > now_ms:
                    yield AddToHashes([(bucket_key(EXPOSURE_BUCKETS, grain, start_ms), ttl_s)], sums)


def _find_dropped(known: Mapping[str, int], newer: Mapping[str, int], oldest_ms: int) -> frozenset[str]:
    """Visitors whom nothing is attributed to any more, and the oldest of those who are too many."""
    dropped = set[str]()
    surplus = len(known.keys() | newer.keys()) - MOST
    for user_id, at_ms in known.items():
        if at_ms >= oldest_ms and len(dropped) >= surplus:
            break
        if user_id not in newer:
            dropped.add(user_id)
    return frozenset(dropped)
