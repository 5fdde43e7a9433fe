"""The comparison as tables and as plain values."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from models.evaluation.bootstrap import Interval
from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.comparison import Score
from models.next_action.evaluation.fitting import Split
from models.next_action.evaluation.slices import IN_CART

_ACTION = {"accuracy": "accuracy", "macro_f1": "macro-F1", "log_loss": "log loss", "action_ece": "ECE"}
_PURCHASE = {
    "purchase_roc_auc": "ROC-AUC",
    "purchase_pr_auc": "PR-AUC",
    "purchase_brier": "Brier",
    "purchase_ece": "ECE",
}
_WIDE = 196
"""Columns that one table of everything needs."""


def make_tables(
    title: str, split: Split, scores: Sequence[Score], reference: Score, *, width: int
) -> list[Table]:
    """One row per model: mean over seeds, with the standard deviation in thousandths in brackets.

    Distances to `reference` whose 95 % interval (sessions drawn again) leaves out 0 are marked with a star.
    One table, or two where the terminal is not that wide.
    """
    heading = f"{title}\n{describe(split)}"
    if width >= _WIDE:
        return [_table(heading, scores, reference, {"log_loss": _ACTION, "purchase_pr_auc": _PURCHASE}, " ")]
    return [
        _table(f"{heading}\nnext action", scores, reference, {"log_loss": _ACTION}, "\n"),
        _table("purchase later in the session", scores, reference, {"purchase_pr_auc": _PURCHASE}, "\n"),
    ]


def _table(
    heading: str, scores: Sequence[Score], reference: Score, groups: dict[str, dict[str, str]], gap: str
) -> Table:
    """`groups`: for each compared metric its columns; `gap` parts a difference from its bounds."""
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for compared, columns in groups.items():
        for header in columns.values():
            table.add_column(header, justify="right", no_wrap=True)
        name = (_ACTION | _PURCHASE)[compared]
        table.add_column(f"{name}\nvs {reference.name}", justify="right", no_wrap=True)
        if compared == "purchase_pr_auc":
            table.add_column("ROC-AUC\nwith a cart", justify="right", no_wrap=True)
    table.add_column("tried", justify="right")
    table.add_column("numbers", justify="right")
    table.add_column("us", justify="right")
    for score in scores:
        cells = []
        for compared, columns in groups.items():
            interval = score.versus(reference)[compared != "log_loss"]
            cells += [_figure(score, metric) for metric in columns]
            cells.append("" if score is reference else _interval(interval, gap))
            if compared == "purchase_pr_auc":
                cells.append(_with_cart(score))
        costs = f"{score.fits.tried}", f"{score.fits.parameters:,}", f"{score.fits.us:,.0f}"
        table.add_row(score.name, *cells, *costs)
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
        "tried": score.fits.tried,
        "settings": dict(score.fits.settings),
        "test": {metric: _spread(values) for metric, values in score.test.items()},
        "valid": {metric: _spread(values) for metric, values in score.valid.items()},
        "slices": {
            name: {metric: _number(value) for metric, value in figures.items()}
            for name, figures in score.slices.items()
        },
        "parameters": score.fits.parameters,
        "us_per_prediction": round(score.fits.us, 1),
        "fit_s": round(score.fits.fit_s, 2),
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
        "to_ms": int(cases.end_ms.max()) if len(cases) else None,
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


def _with_cart(score: Score) -> str:
    area = score.slices.get(IN_CART, {}).get("purchase_roc_auc", math.nan)
    return f"{area:.3f}".removeprefix("0") if math.isfinite(area) else "-"


def _interval(interval: Interval, gap: str) -> str:
    if not math.isfinite(interval.value):
        return "-"
    star = "*" if interval.excludes_zero else ""
    return f"{interval.value:+.3f}{gap}[{interval.low:+.3f}, {interval.high:+.3f}]{star}"
