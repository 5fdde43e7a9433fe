"""Sessions of visitors, kept for recommendations, and products as they were seen in them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.key_families import SEEN_PRODUCTS, SESSIONS, SESSIONS_CHANGED
from contracts.settings import Settings
from contracts.subjects import Subject, SubjectKind
from stream.batch.core import PYTHON, Core
from stream.batch.result import NO_CHANGE, Change
from stream.components.component import Applied, Component
from stream.components.sessions.due import DueSessions, Seen, due_sessions
from stream.components.sessions.seen import SEEN_BYTES, change_seen, load_seen
from stream.state.commit import ClaimRead
from stream.state.writes import (
    DeleteKeys,
    KeepHighest,
    RemoveFromHash,
    RemoveMembers,
    SetInHashes,
    SetScores,
    Write,
)

FEWEST_DROPPED = 1_000
"""So many visitors may be dropped in one commit; more only if it changes more."""


class SessionsState(NamedTuple):
    """When a session of the partition last changed (epoch ms), and its products.

    These are as before the last batch that changed any, and what it changed: the step after it, which comes
    once the batch is stored, puts that into `known`.
    """

    changed_ms: int
    known: dict[str, Seen]
    newer: Mapping[str, Seen] = {}
    dropped: frozenset[str] = frozenset()

    def settled(self) -> dict[str, Seen]:
        """All products, those of the last batch among them."""
        self.known.update(self.newer)
        for product_id in self.dropped:
            self.known.pop(product_id, None)
        return self.known


class Sessions(Component[SessionsState, None]):
    """Writes sessions and reads none. Every commit that changes any has a time of its own."""

    name = "sessions"
    reads = (
        ClaimRead(SESSIONS_CHANGED, "highest"),
        ClaimRead(SEEN_PRODUCTS, "hash"),
    )

    def __init__(self, settings: Settings, core: Core = PYTHON) -> None:
        self._idle_ms = settings.idle_ms
        self._ttl_s = settings.session_ttl_s
        self._most = max(1, settings.session_visitors // settings.partitions)
        self._due_sessions = core.of(due_sessions)

    def load(self, found: Mapping[str, Any]) -> SessionsState:
        """See `Component.load`."""
        return SessionsState(found.get(SESSIONS_CHANGED) or 0, load_seen(found.get(SEEN_PRODUCTS, {})))

    def size(self, state: SessionsState) -> int:
        """See `Component.size`."""
        return len(state.known) * SEEN_BYTES

    def apply(self, state: SessionsState, applied: Applied[None]) -> Change:
        """See `Component.apply`."""
        known = state.settled()
        due = self._due_sessions(applied.visitors, applied.before, known, self._idle_ms)
        if not (due.blobs or due.removed or due.seen):
            return NO_CHANGE
        changed_ms, writes = state.changed_ms, list[Write]()
        if due.blobs or due.removed:
            changed_ms = max(applied.clock.broker_ms, changed_ms + 1)
            writes = self._session_writes(due, changed_ms)
        seen = change_seen(known, due.seen)
        writes += seen.writes()
        return Change(SessionsState(changed_ms, known, *seen), writes)

    def forget(self, state: SessionsState, subject: Subject) -> Change:
        """See `Component.forget`."""
        if subject.kind is not SubjectKind.VISITOR:
            return NO_CHANGE
        return Change(
            writes=[DeleteKeys([SESSIONS + subject.id]), RemoveMembers(SESSIONS_CHANGED, [subject.id])]
        )

    def _session_writes(self, due: DueSessions, changed_ms: int) -> list[Write]:
        writes: list[Write] = [
            RemoveFromHash(SESSIONS + user_id, fields) for user_id, fields in due.removed.items()
        ]
        if due.blobs:
            keys = [SESSIONS + user_id for user_id in due.user_ids]
            writes.append(SetInHashes(keys, due.fields, due.blobs, self._ttl_s))
        scores = dict.fromkeys((*due.user_ids, *due.removed), changed_ms)
        lowest_ms = max(0, changed_ms - self._ttl_s * 1_000)
        return [
            *writes,
            SetScores(SESSIONS_CHANGED, scores, lowest_ms, self._ttl_s),
            KeepHighest(SESSIONS_CHANGED, self._most, SESSIONS, FEWEST_DROPPED + len(scores)),
        ]
