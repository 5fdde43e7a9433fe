"""The drift watch: has what the models say, or how wrong they are, changed in what this worker sees?"""

import logging
from collections.abc import Iterator, Sequence

from contracts.heartbeat import NEXT_ACTION
from models.drift import Drift
from stream.runtime.metrics import Meter
from stream.scoring.predictions import PredictionResults

log = logging.getLogger(__name__)


class DriftWatch:
    """One detector over each number that a slot is watched by.

    Of the next action these are the purchase probabilities (`score`) and the errors of next actions (`error`,
    1 - probability).
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._detectors = {NEXT_ACTION: {name: Drift(name) for name in ("score", "error")}}

    def learn(self, prediction_results: PredictionResults, *, at_ms: int) -> None:
        """Take what a batch that is now in Redis predicted and judged; `at_ms` is its event time."""
        for slot, name, values in _watched(prediction_results):
            detectors = self._detectors.setdefault(slot, {})
            if name not in detectors:
                detectors[name] = Drift(name)
            if detectors[name].learn(values, at_ms=at_ms):
                self._meter.slot(slot).count_drift(name)
                log.warning("drift: the mean %s of the model of %s has changed", name, slot)

    def lines(self, slot: str) -> tuple[str, ...]:
        """The states of a slot's detectors for the heartbeat."""
        return tuple(drift.state.to_text() for drift in self._detectors.get(slot, {}).values())


def _watched(results: PredictionResults) -> Iterator[tuple[str, str, Sequence[float]]]:
    """Slot, name and values of every number that there are values of."""
    if results.purchases:
        yield NEXT_ACTION, "score", results.purchases
    if results.tally.errors:
        yield NEXT_ACTION, "error", results.tally.errors
    for slot, numbers in results.watched.items():
        for name, values in numbers.items():
            yield slot, name, values
