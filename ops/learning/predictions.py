"""What a next-action model says of many cases."""

import numpy as np
import numpy.typing as npt

from models.next_action.cases import PrefixSet
from models.next_action.predictor import Predictor

_AT_ONCE = 256


def say_model(model: Predictor, cases: PrefixSet) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What a model says of every case: next actions (n, 5) and purchases (n,)."""
    cases = cases.with_rates(model.reads_rates)
    order = np.argsort(cases.length, kind="stable")  # those of like length together: less padding
    probabilities = np.zeros((len(cases), 5), dtype=np.float32)
    purchase = np.zeros(len(cases), dtype=np.float32)
    for at in range(0, len(order), _AT_ONCE):
        mine = order[at : at + _AT_ONCE]
        steps, lengths, context, ids = cases.inputs(mine, with_ids=model.reads_ids)
        probabilities[mine], purchase[mine] = model.predict(steps, lengths, context, ids)
    return probabilities, purchase
