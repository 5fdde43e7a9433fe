"""What a partition has learnt of its visitors' answers (`models.online`); the model slots learn it."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.key_families import LEARNED
from models.online.blob import NOTHING, InvalidLearned, Learned, unpack_learned
from models.online.kept import Ended
from stream.components.component import Component
from stream.state.commit import ClaimRead

log = logging.getLogger(__name__)

LEARNING = "learning"


class PartitionLearning(NamedTuple):
    """What was learnt, and sessions that ended since, which will be."""

    learned: Learned = NOTHING
    waiting: tuple[Ended, ...] = ()


class Learning(Component[PartitionLearning, None]):
    """Keeps the blob of one model slot."""

    name = LEARNING

    def __init__(self, slot: str) -> None:
        self.key = LEARNED + slot
        self.reads = (ClaimRead(self.key, "blob"),)

    def load(self, found: Mapping[str, Any]) -> PartitionLearning:
        """See `Component.load`. What cannot be read is learnt anew."""
        packed = found.get(self.key)
        if packed is None:
            return PartitionLearning()
        try:
            return PartitionLearning(unpack_learned(packed))
        except InvalidLearned as exc:
            log.warning("what was learnt under %s cannot be read and begins anew: %s", self.key, exc)
            return PartitionLearning()

    def size(self, state: PartitionLearning) -> int:
        """See `Component.size`."""
        return state.learned.vector.nbytes + sum(len(ended.records) for ended in state.waiting)
