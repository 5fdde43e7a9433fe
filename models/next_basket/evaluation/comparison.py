"""Fits models round by round and measures every case with each of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from models.evaluation.bootstrap import Interval, draw_weights, interval_of
from models.next_basket.baskets import Baskets, Floats, Int32s, Ints
from models.next_basket.evaluation.figures import (
    LONGEST,
    Figures,
    candidate_recall,
    figures_of,
    seen_shares,
)
from models.next_basket.evaluation.splits import Part, Round
from models.next_basket.model import NextBasketModel, rank

_BATCH = 256
"""Histories at once: dense scores of all items are 60 MB of each 60,000."""
CHOSEN_BY = "recall@10"


@dataclass(frozen=True, slots=True)
class Row:
    """A model of the comparison, and the settings among which it chooses on the tuning part.

    `is_list`: a frequency list, one of those the others are compared with.
    """

    make: Callable[..., NextBasketModel]
    settings: Sequence[Mapping[str, Any]] = ({},)
    is_list: bool = False


@dataclass(slots=True)
class Score:
    """What was measured of a model: figures of all cases, and what was chosen in each round."""

    name: str
    is_list: bool
    parts: list[dict[str, Floats]] = field(default_factory=list)
    settings: list[Mapping[str, Any]] = field(default_factory=list)
    fit_s: float = 0.0
    rank_s: float = 0.0

    def figures(self) -> Figures:
        """Of the cases of all rounds, in their order."""
        return {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}

    def mean(self, name: str) -> float:
        """Over the cases that have it."""
        return float(np.nanmean(self.figures()[name]))

    @property
    def us_per_user(self) -> float:
        """Time to score all items and rank them, in microseconds."""
        return 1e6 * self.rank_s / max(1, sum(len(part[CHOSEN_BY]) for part in self.parts))

    def interval(self, name: str) -> Interval:
        """The mean with its 95 % interval, users drawn anew."""
        return _interval(self.figures()[name])

    def versus(self, other: "Score", name: str = CHOSEN_BY) -> Interval:
        """The difference of the means, of the same users."""
        return _interval(self.figures()[name] - other.figures()[name])


def compare(
    rounds: Iterable[Round],
    rows: Mapping[str, Row],
    on_fit: Callable[[str, int], None] = lambda _name, _done: None,
) -> list[Score]:
    """Measure every row on every round; `on_fit` gets each fit's name and number before it begins."""
    scores = {name: Score(name, row.is_list) for name, row in rows.items()}
    fits = 0
    for each in rounds:
        for name, row in rows.items():
            chosen, best = row.settings[0], -np.inf
            for settings in row.settings if len(row.settings) > 1 else ():
                on_fit(f"{name} {describe(settings)}", fits)
                fits += 1
                measured, _, _ = measure(row.make(**settings), each.tuning)
                if (value := float(np.mean(measured[CHOSEN_BY]))) > best:
                    chosen, best = settings, value
            on_fit(name, fits)
            fits += 1
            figures, fit_s, rank_s = measure(row.make(**chosen), each.test)
            score = scores[name]
            score.parts.append(figures)
            score.settings.append(chosen)
            score.fit_s += fit_s
            score.rank_s += rank_s
    return list(scores.values())


def count_fits(rows: Mapping[str, Row]) -> int:
    """Fits of one round."""
    return sum(1 + (len(row.settings) if len(row.settings) > 1 else 0) for row in rows.values())


def measure(model: NextBasketModel, part: Part) -> tuple[dict[str, Floats], float, float]:
    """Fit a model and rank every case: figures, seconds of fitting, seconds of ranking."""
    begun = perf_counter()
    model.fit(part.training)
    fitted = perf_counter()
    cases = part.cases
    truth = np.split(cases.targets.items, cases.targets.starts[1:-1])
    ranked, found = [], []
    for batch in batches(cases.histories.n_users):
        scores = model.scores(cases.histories.of_users(batch))
        ranked.append(rank(scores, LONGEST, [truth[i] for i in batch]))
        found.append(candidate_recall(scores, cases.targets.of_users(batch)))
    ended = perf_counter()
    return (
        {
            **figures_of(np.concatenate(ranked), cases, seen_shares(part.training.known)),
            "candidate_recall": np.concatenate(found),
        },
        fitted - begun,
        ended - fitted,
    )


def predict(model: NextBasketModel, histories: Baskets, k: int) -> Int32s:
    """The lists of a fitted model (users, k)."""
    return np.concatenate(
        [rank(model.scores(histories.of_users(batch)), k) for batch in batches(histories.n_users)]
    )


def batches(n: int) -> list[Ints]:
    """Indices of so many users at once."""
    return [np.arange(begin, min(n, begin + _BATCH)) for begin in range(0, n, _BATCH)]


def best_list(scores: Sequence[Score]) -> Score:
    """The frequency list with the best recall of the same call, or the first model where there is none."""
    lists = [score for score in scores if score.is_list] or list(scores[:1])
    return max(lists, key=lambda score: score.mean(CHOSEN_BY))


def describe(settings: Mapping[str, Any]) -> str:
    """Settings in one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _interval(values: Floats) -> Interval:
    known = values[np.isfinite(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"), float("nan"))
    means = [weights @ known / weights.sum() for weights in draw_weights(len(known))]
    return interval_of(np.array(means))
