"""Kinds of cases that a mean over all of them would hide."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.evaluation.metrics import class_losses, pr_auc, roc_auc
from models.next_action.cases import PrefixSet
from models.next_action.encoding import CONTEXT_FEATURES
from models.next_action.evaluation.contender import Predictions

_CART_LINES = CONTEXT_FEATURES.index("cart_lines_log")
_PURCHASES = CONTEXT_FEATURES.index("n_purchases_log")
IN_CART = "something in the cart, nothing bought"
_LENGTHS = {
    "1 action": (1, 1),
    "2 actions": (2, 2),
    "3 to 5 actions": (3, 5),
    "6 actions or more": (6, 1 << 62),
}


def slices_of(cases: PrefixSet) -> dict[str, npt.NDArray[np.bool_]]:
    """Name to which of the cases belong; one case may be in several."""
    slices = {name: (cases.length >= low) & (cases.length <= high) for name, (low, high) in _LENGTHS.items()}
    in_cart = cases.context[:, _CART_LINES] > 0
    slices[IN_CART] = in_cart & (cases.context[:, _PURCHASES] == 0)
    return slices


def measure_slices(cases: PrefixSet, by_seed: Sequence[Predictions]) -> dict[str, dict[str, float]]:
    """Log loss and the purchase's areas of every slice that has cases, means over the seeds."""
    figures = {}
    for name, part in slices_of(cases).items():
        if part.any():
            figures[name] = {
                "cases": float(part.sum()),
                "will_buy": float(cases.will_buy[part].mean()),
                "log_loss": float(
                    np.mean([class_losses(cases.target[part], one.action[part]) for one in by_seed])
                ),
                "purchase_pr_auc": float(
                    np.mean([pr_auc(cases.will_buy[part], one.purchase[part]) for one in by_seed])
                ),
                "purchase_roc_auc": float(
                    np.mean([roc_auc(cases.will_buy[part], one.purchase[part]) for one in by_seed])
                ),
            }
    return figures
