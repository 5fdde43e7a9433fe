"""From what a batch comes to, to the writes of its commit."""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.alerts import Alert, encode_alert
from contracts.dead_letters import DeadLetter, encode_dead_letter
from contracts.key_families import (
    ACTIVE,
    META,
    OUTBOX,
    PAIRED,
    PAIRED_TTL_S,
    QUALITY_BUCKETS,
    QUARANTINE,
    VISITOR,
)
from contracts.logins import LOGIN, login_of
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from contracts.topics import Topics
from contracts.visitor import PackVisitors
from stream.batch.result import BatchResult
from stream.components.demand import Lifetimes, bucket_writes, shop_lifetimes
from stream.jobs.forgetting import forget_subjects, retractions
from stream.partitions.partition import timer_keys
from stream.registry import Registry
from stream.state.writes import (
    AddToHashes,
    AppendToStream,
    DeleteKeys,
    PutBlobs,
    RemoveMembers,
    SetScores,
    Value,
    Write,
)


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """Lifetimes of what a commit writes, counted from the last write, and where it publishes."""

    visitor_s: int
    quality_s: Lifetimes
    active_ms: int
    topics: Topics

    @classmethod
    def of(cls, settings: Settings) -> "WriteSettings":
        """Those in the settings."""
        return cls(
            settings.visitor_ttl_s, shop_lifetimes(settings), settings.idle_ms, Topics(settings.topic_prefix)
        )


class ResultWriter:
    """Makes the writes of results; knows every component's keys and no component."""

    def __init__(self, registry: Registry, settings: WriteSettings, pack: PackVisitors) -> None:
        self._registry = registry
        self._settings = settings
        self._pack = pack
        self._timer_keys = timer_keys(registry)

    def writes_of(self, result: BatchResult, *, lost: int = 0) -> list[Write]:
        """All that a result changes but the offsets; `lost` records were deleted before they were read."""
        counters = result.counters | ({"lost": lost} if lost else {})
        writes: list[Write] = [AddToHashes([(META, 0)], counters)] if counters else []
        if result.visitors:
            keys = [VISITOR + user for user in result.visitors]
            blobs = dict(zip(keys, self._pack(result.visitors.values()), strict=True))
            writes.append(PutBlobs(blobs, self._settings.visitor_s))
        writes += self._component_writes(result)
        now_ms = result.clock.max_event_ms
        minutes = result.prediction_results.tally.minutes
        writes += bucket_writes(QUALITY_BUCKETS, minutes, self._settings.quality_s, now_ms)
        for pair, sums in result.prediction_results.paired.items():
            writes.append(AddToHashes([(PAIRED + pair, PAIRED_TTL_S)], sums))
        last_ms = {user: visitor.head.last_ms for user, visitor in result.visitors.items()}
        writes.append(SetScores(ACTIVE, last_ms, max(0, now_ms - self._settings.active_ms)))
        writes += self._timer_writes(result)
        writes += self._removals(result)  # last: what else the result has of them is not kept either
        entries = list(self._outbox(result))
        if entries:
            writes.append(AppendToStream(OUTBOX, entries))
        return writes

    def _removals(self, result: BatchResult) -> Iterator[Write]:
        """Everything of the subjects that are forgotten: their states, values and timers."""
        if not result.forgotten:
            return
        ids: dict[SubjectKind, list[str]] = {}
        for subject in result.forgotten:
            ids.setdefault(subject.kind, []).append(subject.id)
        visitors = ids.get(SubjectKind.VISITOR)
        if visitors:
            yield DeleteKeys([start + user for start in (VISITOR, QUARANTINE + VISITOR) for user in visitors])
            yield RemoveMembers(ACTIVE, visitors)
            yield RemoveMembers(self._timer_keys[SubjectKind.VISITOR.value], visitors)
        for component in self._registry.components.values():
            values = component.values
            if values is not None and values.kind in ids:
                starts = (values.start, QUARANTINE + values.start)
                yield DeleteKeys([start + id_ for start in starts for id_ in ids[values.kind]])
                for kind in component.timers:
                    yield RemoveMembers(self._timer_keys[kind], ids[values.kind])
        yield from forget_subjects(self._registry.jobs, result.forgotten)

    def _component_writes(self, result: BatchResult) -> Iterator[Write]:
        for name, change in result.changes.items():
            yield from change.writes
            values = self._registry.components[name].values
            if values is None or not change.values:
                continue
            kept = {
                values.start + id_: values.pack(value)
                for id_, value in change.values.items()
                if value is not None
            }
            gone = [values.start + id_ for id_, value in change.values.items() if value is None]
            if kept:
                yield PutBlobs(kept, values.ttl_s)
            if gone:
                yield DeleteKeys(gone)

    def _timer_writes(self, result: BatchResult) -> Iterator[Write]:
        for kind, timers in result.all_timers().items():
            key = self._timer_keys[kind]
            due = {id_: due_ms for id_, due_ms in timers.items() if due_ms}
            if due:
                yield SetScores(key, due)
            if len(due) < len(timers):
                yield RemoveMembers(key, [id_ for id_, due_ms in timers.items() if not due_ms])

    def _outbox(self, result: BatchResult) -> Iterator[dict[str, Value]]:
        topics = self._settings.topics
        for letter in result.letters:
            yield _letter_entry(letter, topics.rejected)
        for alert in result.prediction_results.alerts:
            if alert.live:  # the others are counted, but nobody should act on them
                yield _alert_entry(_with_customer(alert, result), topics.alerts)
        for forward in result.forwards:
            yield {
                "topic": forward.topic,
                "key": forward.key,
                "id": forward.record_id,
                "value": forward.value,
            }
        for record in result.records:
            yield {
                "topic": topics.prefix + record.topic,
                "key": record.key.encode(),
                "id": record.record_id,
                "value": record.value,
            }
        yield from retractions(self._registry.jobs, result.forgotten, topics)


def _letter_entry(letter: DeadLetter, topic: str) -> dict[str, Value]:
    return {
        "topic": topic,
        "key": letter.key or b"",
        "id": letter.letter_id,
        "value": encode_dead_letter(letter),
    }


def _with_customer(alert: Alert, result: BatchResult) -> Alert:
    """The alert with who is logged in on its visitor's device."""
    visitor = result.visitors.get(alert.subject.id)
    if visitor is None or alert.subject.kind is not SubjectKind.VISITOR or LOGIN not in visitor.extra:
        return alert
    return alert._replace(customer_id=login_of(visitor).customer_id or None)


def _alert_entry(alert: Alert, topic: str) -> dict[str, Value]:
    return {
        "topic": topic,
        "key": alert.subject.id.encode(),
        "id": alert.record_id,
        "value": encode_alert(alert),
    }
