"""Ours with a model so slow that it can score only half of the visitors who act, at `BENCH_RATE` events/s.

It runs the network again and again, which takes the processor and leaves Python its lock as a larger network
does.
"""

import logging
import os
import sys
import time

from contracts.settings import Settings
from models.next_action.predictor import Floats, Ints, Prediction, Predictor
from stream.worker import run


def slow_down(visitor_s: float) -> None:
    """Let every predictor of this process take so long for each visitor."""
    predict = Predictor.predict

    def predict_slowly(
        self: Predictor, steps: Floats, lengths: Ints, context: Floats, ids: Ints | None = None
    ) -> Prediction:
        until_s = time.perf_counter() + visitor_s * len(lengths)
        found = predict(self, steps, lengths, context, ids)
        while time.perf_counter() < until_s:
            predict(self, steps, lengths, context, ids)
        return found

    Predictor.predict = predict_slowly  # type: ignore[method-assign]


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    slow_down(2.0 / float(os.environ["BENCH_RATE"]))
    sys.exit(run(Settings()))
