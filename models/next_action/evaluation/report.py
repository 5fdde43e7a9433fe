"""The comparison as a table and as plain values."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.bootstrap import Interval
from models.next_action.evaluation.comparison import Score, Split

_COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "log_loss": "log loss",
    "action_ece": "ECE",
    "purchase_roc_auc": "ROC-AUC",
    "purchase_pr_auc": "PR-AUC",
    "purchase_brier": "Brier",
    "purchase_ece": "purchase ECE",
}


def make_table(title: str, split: Split, scores: Sequence[Score], reference: Score) -> Table:
    """One row per model: mean over seeds, its standard deviation in brackets, and distances to `reference`.

    A distance whose 95 % interval (sessions drawn again) leaves out 0 is marked with a star.
    """
    table = Table(title=f"{title}\n{describe(split)}", title_justify="left")
    table.add_column("model", no_wrap=True)
    for header in (*_COLUMNS.values(), "parameters", "us"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column(f"log loss\nvs {reference.name}", justify="right", no_wrap=True)
    table.add_column(f"PR-AUC\nvs {reference.name}", justify="right", no_wrap=True)
    for score in scores:
        loss, area = score.versus(reference)
        table.add_row(
            score.name,
            *(_figure(score, metric) for metric in _COLUMNS),
            f"{score.parameters:,}",
            f"{score.us_per_prediction:,.0f}",
            *(("", "") if score is reference else (_interval(loss), _interval(area))),
        )
    return table


def describe(split: Split) -> str:
    """Sizes and base rates in one line."""
    sizes = ", ".join(
        f"{name} {len(part):,} cases of {len(np.unique(part.session)):,} sessions"
        for name, part in (("train", split.train), ("valid", split.valid), ("test", split.test))
    )
    return f"{sizes}; {100 * split.test.will_buy.mean():.1f} % of the test cases end with a purchase"


def to_plain(split: Split, scores: Sequence[Score], reference: Score) -> dict[str, Any]:
    """Everything that was measured, ready for JSON; NaN becomes None."""
    return {
        "parts": {
            "train": _part(split.train),
            "valid": _part(split.valid),
            "test": _part(split.test),
        },
        "reference": reference.name,
        "models": [_model(score, reference) for score in scores],
    }


def _model(score: Score, reference: Score) -> dict[str, Any]:
    loss, area = score.versus(reference)
    return {
        "name": score.name,
        "seeds": len(score.test["log_loss"]),
        "test": {metric: _spread(values) for metric, values in score.test.items()},
        "valid": {metric: _spread(values) for metric, values in score.valid.items()},
        "parameters": score.parameters,
        "us_per_prediction": round(score.us_per_prediction, 1),
        "fit_s": round(score.fit_s, 2),
        "versus_reference": {"log_loss": _bounds(loss), "purchase_pr_auc": _bounds(area)},
    }


def _part(cases: PrefixSet) -> dict[str, Any]:
    counts = np.bincount(cases.target, minlength=len(TARGETS))
    return {
        "cases": len(cases),
        "sessions": len(np.unique(cases.session)),
        "targets": {name: int(count) for name, count in zip(TARGETS, counts, strict=True)},
        "will_buy": int(cases.will_buy.sum()),
        "from_ms": int(cases.start_ms.min()) if len(cases) else None,
        "to_ms": int(cases.next_ms.max()) if len(cases) else None,
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": _number(float(np.mean(values))), "sd": _number(sd)}


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {
        "difference": _number(interval.value),
        "low": _number(interval.low),
        "high": _number(interval.high),
    }


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _figure(score: Score, metric: str) -> str:
    mean, sd = score.mean(metric), score.sd(metric)
    if not math.isfinite(mean):
        return "-"
    digits = 4 if metric == "purchase_brier" else 3
    text = f"{mean:.{digits}f}".removeprefix("0")
    return f"{text} ({1000 * sd:.0f})" if len(score.test[metric]) > 1 else text


def _interval(interval: Interval) -> str:
    if not math.isfinite(interval.value):
        return "-"
    star = "*" if interval.excludes_zero else ""
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]{star}"
