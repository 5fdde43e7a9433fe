"""The learner of a model slot: what the partitions have learnt together, and the step of learning."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from redis.exceptions import RedisError

from models.online.blob import InvalidLearned, Learned, add_up, pack_learned, unpack_learned
from models.online.kept import Ended, answers_of
from models.online.learning import Answers, learn
from models.online.publishing import Publisher
from models.online.records import read_records
from models.online.sums import Floats, nothing_learnt, sums_in
from stream.batch.result import BatchResult, Change
from stream.components.learning import LEARNING, Learning, PartitionLearning
from stream.scoring.companions import SlotCompanion
from stream.state.store import Store
from stream.state.writes import PutBlobs

log = logging.getLogger(__name__)

TTL_S = 90 * 86_400
WAIT_MS = 5_000
MOST_WAITING = 32
"""Answers are learnt, and what was learnt is written, once so many wait or the last are so old (event time):
a write is some kB. A worker that is killed has learnt nothing of those that waited."""
LOOK_EVERY_S = 5.0
"""What other workers' partitions have learnt is read so often."""


class Learner(SlotCompanion):
    """Pools the partitions of one slot. One instance per worker; its steps run on the event loop."""

    def __init__(self, slot: str, partitions: int) -> None:
        self.component = Learning(slot)
        self._slot = slot
        self._key = self.component.key
        self._partitions = partitions
        self._known: dict[int, Learned] = {}
        self._is_pooled = False
        self.pooled: tuple[str, Publisher] = "", Publisher(sums_in(nothing_learnt()))
        """A version of the model, and what publishes by what the whole shop has learnt of it. Replaced as a
        whole: a model's thread may read it."""

    def begin(self, version: str) -> None:
        """Add up what all partitions have learnt, for this version of the model."""
        if not self._is_pooled or self.pooled[0] != version:
            vector = add_up(list(self._known.values()), version).vector
            self.pooled = version, Publisher(sums_in(vector))
            self._is_pooled = True

    def note(self, partition: int, states: Mapping[str, Any]) -> None:
        """Take what a partition of ours has learnt, as it is in the store."""
        state: PartitionLearning = states[LEARNING]
        self._put(partition, state.learned)

    def settle(self, partition: int, states: Mapping[str, Any], result: BatchResult, version: str) -> None:
        """Let a result learn from the sessions that it ends; those predicted by another version are not."""
        self.note(partition, states)
        state: PartitionLearning = states[LEARNING]
        ended = [each for each in self._ended(result) if each.version == version]
        if not ended and not state.waiting:
            return
        learned, at_ms = state.learned, result.clock.max_event_ms
        waiting = [each for each in (*state.waiting, *ended) if each.version == version]
        n_waiting = sum(len(each.targets) for each in waiting)
        if n_waiting < MOST_WAITING and at_ms - learned.at_ms < WAIT_MS:
            if ended:
                result.add(LEARNING, Change(PartitionLearning(learned, tuple(waiting))))
            return
        if waiting:
            vector = self._learn(partition, learned.vector_of(version), waiting, version)
            learned = Learned(vector, version, learned.since_ms or at_ms, at_ms)
            result.count("learnt", n_waiting)
        blob = PutBlobs({self._key: pack_learned(learned)}, TTL_S)
        result.add(LEARNING, Change(PartitionLearning(learned), [blob]))

    async def watch(self, store: Store, owned: Callable[[], Collection[int]]) -> None:
        """Read what other workers' partitions have learnt, until cancelled."""
        while True:
            theirs = set(range(self._partitions)) - set(owned())
            if theirs:
                try:
                    await self.read(store, sorted(theirs))
                except RedisError as exc:
                    log.info("cannot read what other partitions have learnt, retrying later: %s", exc)
            await asyncio.sleep(LOOK_EVERY_S)

    async def read(self, store: Store, partitions: Sequence[int]) -> None:
        """Take what these partitions have learnt as it is in the store; raises `RedisError`."""
        found = await store.read_blobs({p: [self._key] for p in partitions})
        for p, (packed,) in found.items():
            if isinstance(packed, bytes):
                try:
                    self._put(p, unpack_learned(packed))
                except InvalidLearned as exc:
                    log.info("what partition %d has learnt cannot be read: %s", p, exc)

    def _ended(self, result: BatchResult) -> Iterator[Ended]:
        for visitor in result.prediction_results.ended:
            kept = visitor.extra.get(self._slot)
            if kept is not None and (ended := answers_of(kept, visitor)) is not None:
                yield ended

    def _learn(self, partition: int, vector: Floats, waiting: Sequence[Ended], version: str) -> Floats:
        others = [known.vector_of(version) for p, known in self._known.items() if p != partition]
        records = read_records(b"".join([each.records for each in waiting]))
        answers = Answers(
            np.array([target for each in waiting for target in each.targets]),
            np.array([buys for each in waiting for buys in each.buys]),
        )
        return learn(vector, sum(others, nothing_learnt()), records, answers, partitions=self._partitions)

    def _put(self, partition: int, learned: Learned) -> None:
        if self._known.get(partition) is not learned:
            self._known[partition] = learned
            self._is_pooled = False
