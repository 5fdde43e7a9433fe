"""The drift watch: has what the model says, or how wrong it is, changed in what this worker sees?"""

import logging

from models.drift import Drift
from stream.runtime.metrics import Meter
from stream.scoring.predictions import PredictionResults

log = logging.getLogger(__name__)


class DriftWatch:
    """One detector over purchase probabilities and one over the errors of next actions (1 - probability)."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._score = Drift("score")
        self._error = Drift("error")

    def learn(self, prediction_results: PredictionResults, *, at_ms: int) -> None:
        """Take what a batch that is now in Redis predicted and judged; `at_ms` is its event time."""
        for detector, values in (
            (self._score, prediction_results.purchases),
            (self._error, prediction_results.tally.errors),
        ):
            if values and detector.learn(values, at_ms=at_ms):
                name = detector.state.name
                self._meter.drifts.labels(name).inc()
                log.warning("drift: the mean %s of the model has changed", name)

    def lines(self) -> tuple[str, ...]:
        """The detectors' states for the heartbeat."""
        return self._score.state.to_text(), self._error.state.to_text()
