"""The gate of a worker: budgets by kind, kept with the partitions' commits, and pooled over all of them."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from redis.exceptions import RedisError

from contracts.alert_budgets import AlertBudget
from contracts.buckets import Metric
from contracts.key_families import ALERT_USE
from models.alert_threshold import (
    AlertUse,
    add_up,
    note_candidate,
    note_sessions,
    nothing_used,
    threshold_of,
)
from stream.alerts.gate import Candidate, Gate, Withheld
from stream.batch.result import BatchResult, Change
from stream.components.alert_use import NAME, PartitionUse, pack_use, unpack_use
from stream.state.store import Store
from stream.state.writes import PutBlobs

log = logging.getLogger(__name__)

TTL_S = 7 * 86_400
WRITE_EVERY_MS = 5_000
"""What was used is written with every alert and so often (event time): a killed worker loses no more."""
LOOK_EVERY_S = 5.0


class AlertGate(Gate):
    """Withholds what budgets and an unproven model do not allow. One instance per worker."""

    def __init__(
        self, budgets: Mapping[str, AlertBudget] = MappingProxyType({}), partitions: int = 1
    ) -> None:
        super().__init__()
        self._budgets = budgets
        self._partitions = partitions
        self._known: dict[int, Mapping[str, AlertUse]] = {}
        self._pooled: dict[str, AlertUse] = {}

    def judge(self, candidate: Candidate) -> Withheld | None:
        """See `Gate.judge`. What fires is spent at once, not only once it is committed."""
        withheld = super().judge(candidate)
        if withheld is not None:
            return withheld
        budget = self._budgets.get(candidate.kind)
        if budget is None:
            return None
        use = self._pool(candidate.kind)
        fires = candidate.rank >= threshold_of(use, budget)
        self._pooled[candidate.kind] = note_candidate(
            use, candidate.before, candidate.rank, candidate.at_ms, fired=fires
        )
        return None if fires else Withheld.BUDGET

    def begin(self, partition: int, states: Mapping[str, Any], result: BatchResult) -> None:
        """Count the sessions that a result begins, before anything is decided by its scores."""
        if not self._budgets:
            return
        sessions = sum(fields.get(Metric.SESSIONS, 0) for fields in result.counts.shop.values())
        state: PartitionUse = states[NAME]
        self._put(partition, state.uses)
        if sessions <= 0:
            return
        at_ms = result.clock.max_event_ms
        uses = {
            kind: note_sessions(state.uses.get(kind, nothing_used()), sessions, at_ms)
            for kind in self._budgets
        }
        self._put(partition, uses)
        result.add(NAME, Change(PartitionUse(uses, state.written_ms)))

    def conclude(self, partition: int, states: Mapping[str, Any], result: BatchResult) -> None:
        """Add what was decided in a result to what its partition keeps."""
        if not self._budgets:
            return
        change = result.changes.get(NAME)
        state: PartitionUse = states[NAME] if change is None or change.state is None else change.state
        uses, fired, noted = dict(state.uses), False, False
        for (kind, at_ms, rank, before, *_), withheld in result.prediction_results.decided:
            if kind in self._budgets and withheld in (None, Withheld.BUDGET):
                use = uses.get(kind, nothing_used())
                uses[kind] = note_candidate(use, before, rank, at_ms, fired=withheld is None)
                fired, noted = fired or withheld is None, True
        if not uses:
            return
        if noted:
            self._put(partition, uses)
        at_ms = max(use.at_ms for use in uses.values())
        if fired or at_ms - state.written_ms >= WRITE_EVERY_MS:
            blob = PutBlobs({ALERT_USE: pack_use(uses)}, TTL_S)
            result.add(NAME, Change(PartitionUse(uses, at_ms), [blob]))
        elif noted:
            result.add(NAME, Change(PartitionUse(uses, state.written_ms)))

    async def watch(self, store: Store, owned: Callable[[], Collection[int]]) -> None:
        """Read what other workers' partitions have used, until cancelled."""
        while True:
            theirs = set(range(self._partitions)) - set(owned())
            if self._budgets and theirs:
                try:
                    await self.read(store, sorted(theirs))
                except RedisError as exc:
                    log.info("alerts of other partitions are counted later: %s", exc)
            await asyncio.sleep(LOOK_EVERY_S)

    async def read(self, store: Store, partitions: Sequence[int]) -> None:
        """Take what these partitions have used as it is in the store; raises `RedisError`."""
        found = await store.read_blobs({p: [ALERT_USE] for p in partitions})
        for p, (packed,) in found.items():
            if isinstance(packed, bytes):
                try:
                    self._put(p, unpack_use(packed))
                except ValueError as exc:
                    log.info("the alerts that partition %d counted cannot be read: %s", p, exc)

    def _pool(self, kind: str) -> AlertUse:
        use = self._pooled.get(kind)
        if use is None:
            use = self._pooled[kind] = add_up(uses[kind] for uses in self._known.values() if kind in uses)
        return use

    def _put(self, partition: int, uses: Mapping[str, AlertUse]) -> None:
        if self._known.get(partition) is not uses:
            self._known[partition] = uses
            self._pooled.clear()
