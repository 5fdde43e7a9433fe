"""The comparison as a table and as plain values."""

import math
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from models.evaluation.bootstrap import Interval
from models.next_basket.evaluation.comparison import CHOSEN_BY, Score, describe

_COLUMNS = {
    "recall@20": "Recall\n@20", "ndcg@10": "NDCG\n@10", "ndcg@20": "NDCG\n@20", "phr@10": "PHR\n@10",
    "phr@20": "PHR\n@20", "repeat_recall@10": "repeat\nR@10", "explore_recall@10": "explore\nR@10",
    "top@1": "Top-1", "top@5": "Top-5", "top@10": "Top-10", "new": "new", "surprise": "-log2\nshare",
    "candidate_recall": "candidate\nrecall",
}  # fmt: skip


def make_table(title: str, scores: Sequence[Score], reference: Score) -> Table:
    """One row per model. In brackets: the 95 % interval, users drawn anew."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    table.add_column("Recall@10", justify="right", no_wrap=True)
    for header in _COLUMNS.values():
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column(f"Recall@10\nvs {reference.name}", justify="right", no_wrap=True)
    table.add_column("ms a\nuser", justify="right", no_wrap=True)
    table.add_column("fit s", justify="right", no_wrap=True)
    for score in scores:
        own = score.interval(CHOSEN_BY)
        versus = "" if score is reference else _difference(score.versus(reference))
        table.add_row(
            score.name, f"{_number(own.value)} [{_number(own.low)} {_number(own.high)}]",
            *(_number(score.mean(name), places=2 if name == "surprise" else 4) for name in _COLUMNS),
            versus, f"{score.us_per_user / 1e3:.2f}", f"{score.fit_s:.1f}",
        )  # fmt: skip
    return table


def make_notes(scores: Sequence[Score]) -> list[str]:
    """What the columns mean, and the settings that were chosen."""
    notes = [
        "repeat and explore R@10: of true items bought before and never bought. Top-k: any of the first k is "
        "in the basket. new: share of the first ten never bought before; -log2 share: of known baskets with "
        "each of the first ten, their mean. candidate recall: of true items that "
        "the model scores at all. NDCG's ideal list is the whole basket, not cut at k. Ties count "
        "against a model.",
    ]
    for score in scores:
        chosen = list(dict.fromkeys(describe(settings) for settings in score.settings))
        if any(chosen):
            notes.append(f"{score.name}: {'; '.join(chosen)}")
    return notes


def to_plain(scores: Sequence[Score], reference: Score) -> dict[str, Any]:
    """Everything that was measured, ready for JSON; NaN becomes None."""
    return {
        "reference": reference.name,
        "models": [
            {
                "name": score.name,
                "settings": [dict(settings) for settings in score.settings],
                "figures": {name: _bounds(score.interval(name)) for name in score.figures()},
                "versus_reference": {
                    name: _bounds(score.versus(reference, name)) for name in (CHOSEN_BY, "ndcg@10")
                },
                "fit_s": round(score.fit_s, 2),
                "us_per_user": round(score.us_per_user, 1),
            }
            for score in scores
        ],
    }


def _difference(interval: Interval) -> str:
    star = "*" if interval.excludes_zero else ""
    return f"{interval.value:+.4f}{star} [{interval.low:+.4f} {interval.high:+.4f}]"


def _number(value: float, places: int = 4) -> str:
    return "-" if math.isnan(value) else f"{value:.{places}f}"


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {
        name: None if math.isnan(value) else round(value, 5) for name, value in interval._asdict().items()
    }
