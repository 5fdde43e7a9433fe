"""The committer: reads states, writes commits, and draws the consequences of the store's answers."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.blob_formats import LATER, LaterFormat
from contracts.clock import wall_clock_ms, watermark_of
from contracts.key_families import QUARANTINE, QUARANTINE_TTL_S, VISITOR
from contracts.settings import Settings
from contracts.visitor import PackVisitors, Visitor, pack_visitors, unpack_visitor
from contracts.visitor_check import check_visitor
from stream.batch.result import BatchResult
from stream.components.component import SubjectValues
from stream.partitions.assignment import Assignment
from stream.partitions.partition import TIMERS, Partition
from stream.partitions.result_writes import ResultWriter, WriteSettings
from stream.registry import AnyComponent, Registry
from stream.runtime.metrics import Meter
from stream.scoring.drift_watch import DriftWatch
from stream.state.commit import Commit, CommitStatus, Conflict, WrongType
from stream.state.store import Store, retry

log = logging.getLogger(__name__)


class Fenced(RuntimeError):
    """Another worker has claimed a partition this one believed to own: it must stop at once."""


class SetAside(RuntimeError):
    """A value that a step worked with was spoiled and is in quarantine now: the step is to be done again."""


class Pending(NamedTuple):
    """What is to be committed of a partition: per topic the stored offset and the next one, and a result."""

    part: Partition
    offsets: Mapping[str, tuple[int, int]]
    result: BatchResult


Committed = Callable[[int, BatchResult], None]
"""Told of every result that is in the store now, and of which partition it is."""


class Committer:
    """The worker's side of the store. One instance per worker, on the worker's event loop."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        store: Store,
        assignment: Assignment,
        meter: Meter,
        drift: DriftWatch,
        pack: PackVisitors = pack_visitors,
        committed: Committed | None = None,
    ) -> None:
        self._committed = committed
        self._drift = drift
        self._settings = settings
        self._store = store
        self._assignment = assignment
        self._meter = meter
        self._writer = ResultWriter(registry, WriteSettings.of(settings), pack)
        self._checked = checked_reads(registry)
        self._asked: dict[int, dict[str, Collection[str]]] = {}
        """By partition and start of keys, ids of values that its steps since the last commit work with."""

    def watermark(self, part: Partition) -> int:
        """The partition's watermark in ms, with the wall clock's help while there is nothing left to read."""
        return watermark_of(
            *part.clock, self._settings.disorder_ms, now_ms=part.done_ms, caught_up=part.is_done
        )

    # -- reading ---------------------------------------------------------------------------------------

    async def visitors(self, wanted: Sequence[tuple[Partition, set[str]]]) -> list[dict[str, Visitor | None]]:
        """States of visitors per partition, from the cache or from the store."""
        found: list[dict[str, Visitor | None]] = [dict(part.visitors.known(users)) for part, users in wanted]
        await self._read_missing(VISITOR, unpack_visitor, wanted, found)
        return found

    async def values(
        self, component: AnyComponent, wanted: Sequence[tuple[Partition, Collection[str]]]
    ) -> list[dict[str, Any]]:
        """A component's values of subjects per partition, None for one that has none."""
        kept: SubjectValues[Any] | None = component.values
        if kept is None:
            return [{} for _ in wanted]
        found = [part.values[component.name].known(ids) for part, ids in wanted]
        await self._read_missing(kept.start, kept.unpack, wanted, found)
        return found

    async def _read_missing(
        self,
        start: str,
        unpack: Callable[[bytes], Any],
        wanted: Sequence[tuple[Partition, Collection[str]]],
        found: Sequence[dict[str, Any]],
    ) -> None:
        """Add the values that are not found yet from the store; what cannot be read goes into quarantine."""
        for part, ids in wanted:
            self._asked.setdefault(part.number, {})[start] = ids
        missing = _missing(wanted, found)
        if not missing:
            return
        keys = {p: [start + id_ for id_ in ids] for p, ids in missing.values()}
        rows = await retry(self._meter, lambda: self._store.read_blobs(keys))
        for place, (p, ids) in missing.items():
            blobs = list(zip(ids, rows[p], strict=True))
            try:
                values = {id_: None if blob is None else unpack(blob) for id_, blob in blobs}  # type: ignore[arg-type]
            except Exception:  # of whichever; a component's own `unpack` may raise anything
                values = await self._read_singly(p, start, unpack, blobs)
            found[place].update(values)

    async def _read_singly(
        self,
        p: int,
        start: str,
        unpack: Callable[[bytes], Any],
        blobs: Sequence[tuple[str, bytes | WrongType | None]],
    ) -> dict[str, Any]:
        """The values one by one, None for one that is set aside: its subject starts anew."""
        values: dict[str, Any] = {}
        for id_, blob in blobs:
            values[id_] = None
            if isinstance(blob, WrongType):
                await self._set_aside(p, start, id_, blob, f"its key is a {blob.holds}")
            elif blob is not None:
                try:
                    values[id_] = unpack(blob)
                except LaterFormat as exc:  # it is sound, and a worker of that version must find it as it is
                    reason = f"{exc}: {LATER}, upgrade this one"
                    raise Conflict(reason, {p: reason}) from None
                except Exception as exc:  # the boundary: whatever it is, it is not one of ours
                    reason = f"its {len(blob)} bytes cannot be decoded ({type(exc).__name__})"
                    await self._set_aside(p, start, id_, blob, reason)
        return values

    async def set_aside_spoiled(self, parts: Sequence[Partition]) -> bool:
        """Whether values that steps of these partitions work with were spoiled: they are in quarantine now.

        For a step that failed: reading alone does not look at all of a value.
        """
        number = 0
        for part in parts:
            for start, ids in self._asked.pop(part.number, {}).items():
                number += await self._check(part.number, start, ids)
        return bool(number)

    async def require_sound(self, part: Partition, user_id: str) -> None:
        """Look at all of a visitor's state; raises `SetAside` if it was spoiled."""
        if await self._check(part.number, VISITOR, [user_id]):
            raise SetAside(part.number)

    async def _check(self, p: int, start: str, ids: Collection[str]) -> int:
        """Look at all of these values, as they are stored; how many were put into quarantine."""
        keys = {p: [start + id_ for id_ in ids]}
        rows = await retry(self._meter, lambda: self._store.read_blobs(keys))
        blobs = list(zip(ids, rows[p], strict=True))
        values = await self._read_singly(p, start, self._checked[start], blobs)
        return sum(blob is not None and values[id_] is None for id_, blob in blobs)

    async def _set_aside(self, p: int, start: str, id_: str, found: bytes | WrongType, reason: str) -> None:
        if await retry(self._meter, lambda: self._store.set_aside(p, start + id_, found), writes=True):
            self._meter.quarantined.labels(start.rstrip(":")).inc()
            log.error(
                "partition %d: a value of %s cannot be read and starts over; it is kept for %d days under "
                "%s: %s",
                p, start, QUARANTINE_TTL_S // 86_400, QUARANTINE, reason,
            )  # fmt: skip

    async def lowest(
        self, key: str, parts: Sequence[Partition], limit: int
    ) -> dict[int, list[tuple[str, int]]]:
        """See `stream.state.store.Store.lowest`."""
        numbers = [part.number for part in parts]
        try:
            return await retry(self._meter, lambda: self._store.lowest(key, numbers, limit))
        except Conflict as exc:
            self._assignment.block(exc.partitions)
            sound = [part for part in parts if part.number not in exc.partitions]
            found = await self.lowest(key, sound, limit) if sound else {}
            return found | {number: [] for number in exc.partitions}

    def reader(self, part: Partition) -> "PartitionReader":
        """For questions of a component to the state of one partition."""
        return PartitionReader(self._store, self._meter, part)

    # -- writing ---------------------------------------------------------------------------------------

    async def commit(self, pending: Sequence[Pending]) -> list[bool]:
        """Write commits and draw the consequences; says which of them are in the store now.

        Raises `Fenced` if this worker turns out to be a zombie.
        """
        if not pending:
            return []
        commits = [self._commit_of(*each) for each in pending]
        try:
            statuses = await retry(self._meter, lambda: self._store.commit(commits), writes=True)
        except Conflict as exc:
            statuses = exc.statuses
            for part, _, _ in pending:
                if part.number in exc.partitions and self._owns(part):
                    self._assignment.block({part.number: exc.partitions[part.number]})
        behind: list[Partition] = []
        for (part, _, result), commit, status in zip(pending, commits, statuses, strict=True):
            self._meter.count_status(status)
            if status in (CommitStatus.APPLIED, CommitStatus.REPEATED):
                self._adopt(part, commit, result)
            elif not self._owns(part):
                continue  # revoked or claimed anew meanwhile: its records are the new owner's
            elif status is CommitStatus.FENCED:
                raise Fenced(f"partition {part.number} was claimed by another worker")
            elif status is CommitStatus.CONFLICT:
                continue  # blocked above
            else:
                log.warning(
                    "partition %d: Redis answered %s, reading again from the offsets it has",
                    part.number,
                    status,
                )
                behind.append(part)
        if behind:
            await self._assignment.rewind(behind)
        return [status in (CommitStatus.APPLIED, CommitStatus.REPEATED) for status in statuses]

    def _commit_of(
        self, part: Partition, offsets: Mapping[str, tuple[int, int]], result: BatchResult
    ) -> Commit:
        marks = {
            "max_event_ms": result.clock.max_event_ms,
            "broker_ms": result.clock.broker_ms,
            "watermark_ms": self.watermark(part),
            "updated_ms": wall_clock_ms(),
        }
        writes = self._writer.writes_of(result, lost=part.lost)
        part.lost = 0
        return Commit(part.number, part.epoch, offsets, writes, marks)

    def _adopt(self, part: Partition, commit: Commit, result: BatchResult) -> None:
        self._asked.pop(part.number, None)
        cache_limit = max(1, self._settings.cache_visitors // max(1, len(self._assignment.partitions)))
        part.adopt(commit, result, now_s=time.monotonic(), cache_limit=cache_limit)
        if self._assignment.blocked and (part.is_done or _moves(commit)):
            self._assignment.blocked.remove(part.number)
        prediction_results = result.prediction_results
        self._meter.count_alerts(prediction_results.alerts)
        self._drift.learn(prediction_results, at_ms=result.clock.max_event_ms)
        if (
            result.letters
            or prediction_results.alerts
            or result.forgotten
            or result.forwards
            or result.records
        ):
            self._meter.outbox_filled(part.number)
        if self._committed is not None:
            self._committed(part.number, result)
        if self._owns(part):
            self._assignment.kafka.note_applied(
                {
                    (topic, part.number): end
                    for topic, (_, end) in commit.offsets.items()
                    if topic != TIMERS and topic not in self._assignment.followed and end >= 0
                }
            )

    def _owns(self, part: Partition) -> bool:
        return self._assignment.partitions.get(part.number) is part


class PartitionReader:
    """See `stream.components.component.StateReader`."""

    def __init__(self, store: Store, meter: Meter, part: Partition) -> None:
        self._store = store
        self._meter = meter
        self._part = part

    @property
    def partition(self) -> int:
        """See `StateReader.partition`."""
        return self._part.number

    @property
    def is_new(self) -> bool:
        """See `StateReader.is_new`."""
        return self._part.is_new

    async def fields(self, key: str, names: Collection[str]) -> Mapping[str, str]:
        """See `StateReader.fields`."""
        p = self._part.number
        found = await retry(self._meter, lambda: self._store.read_fields({p: (key, names)}))
        return found[p]

    async def keys_from(self, start: str) -> Sequence[str]:
        """See `StateReader.keys_from`."""
        return await retry(self._meter, lambda: self._store.keys_from(self._part.number, start))


def checked_reads(registry: Registry) -> dict[str, Callable[[bytes], Any]]:
    """By start of keys, what reads a value and looks at all of it."""
    checked = {VISITOR: _checked(unpack_visitor, check_visitor)}
    for component in registry.components.values():
        kept: SubjectValues[Any] | None = component.values
        if kept is not None:
            checked[kept.start] = _checked(kept.unpack, kept.check)
    return checked


def _checked(unpack: Callable[[bytes], Any], check: Callable[[Any], None] | None) -> Callable[[bytes], Any]:
    def read(blob: bytes) -> Any:
        value = unpack(blob)
        if check is not None:
            check(value)
        return value

    return read


def _moves(commit: Commit) -> bool:
    return any(start != end for start, end in commit.offsets.values())


def _missing(
    wanted: Sequence[tuple[Partition, Collection[str]]], found: Sequence[Mapping[str, Any]]
) -> dict[int, tuple[int, list[str]]]:
    """By place in `wanted`, the partition's number and the ids that were not found."""
    missing = {}
    for place, ((part, ids), known) in enumerate(zip(wanted, found, strict=True)):
        unknown = [id_ for id_ in ids if id_ not in known]
        if unknown:
            missing[place] = (part.number, unknown)
    return missing
