"""What answers of model slots are judged by, and what judging adds to."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from contracts.events import Event
from contracts.visitor import Visitor
from models.quality import MICRO
from models.slot_quality import SlotQuality, slot_counter
from stream.scoring.predictions import PredictionResults


class Observation(NamedTuple):
    """What a visitor did since a slot was asked: new events, or none where the watermark passed a silence."""

    user_id: str
    before: Visitor | None
    after: Visitor
    events: Sequence[Event]


class SlotTally:
    """What judging adds to the counters of a slot, and the numbers that its drift is watched by."""

    def __init__(self, slot: str, results: PredictionResults) -> None:
        self._slot = slot
        self._results = results

    def judge(self, at_ms: int, version: str, *, is_right: bool, loss: float) -> None:
        """Count one prediction of a model version, whose answer was known at `at_ms` (event time).

        `loss` is in nats; 1 for a wrong prediction and 0 for a right one is what drift is watched by.
        """
        changes = [(SlotQuality.JUDGED, 1), (SlotQuality.RIGHT, int(is_right))]
        self.count(at_ms, version, [*changes, (SlotQuality.LOSS, round(loss * MICRO))])
        self.watch("error", 0.0 if is_right else 1.0)

    def count(self, at_ms: int, version: str, changes: Iterable[tuple[str, int]]) -> None:
        """Add whole numbers to counters of the slot's own in the minute of `at_ms`."""
        named = [(slot_counter(self._slot, name), change) for name, change in changes if change]
        self._results.tally.add(at_ms, version, named)

    def watch(self, name: str, value: float) -> None:
        """Watch whether the mean of a number between 0 and 1 changes; `name` must hold no blank."""
        self._results.watched.setdefault(self._slot, {}).setdefault(name, []).append(value)
