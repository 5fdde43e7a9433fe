"""All figures of a predictor of the next action."""

import numpy as np

from models.evaluation.metrics import (
    balanced_accuracy,
    binary_losses,
    class_losses,
    expected_calibration_error,
    macro_f1,
    pr_auc,
    roc_auc,
)
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Predictions


def measure(cases: PrefixSet, predictions: Predictions) -> dict[str, float]:
    """All figures of one model on these cases. One that cannot be told (no purchase at all) is NaN."""
    action, purchase = predictions
    chosen = action.argmax(axis=1)
    return {
        "accuracy": float((chosen == cases.target).mean()),
        "balanced_accuracy": balanced_accuracy(cases.target, chosen),
        "macro_f1": macro_f1(cases.target, chosen),
        "log_loss": float(class_losses(cases.target, action).mean()),
        "action_ece": expected_calibration_error(action.max(axis=1), chosen == cases.target),
        "purchase_log_loss": float(binary_losses(cases.will_buy, purchase).mean()),
        "purchase_roc_auc": roc_auc(cases.will_buy, purchase),
        "purchase_pr_auc": pr_auc(cases.will_buy, purchase),
        "purchase_brier": float(np.square(purchase - cases.will_buy).mean()),
        "purchase_ece": expected_calibration_error(purchase, cases.will_buy),
    }
