"""All contenders on the same cases."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.evaluation.bootstrap import Interval, interval_of
from models.next_item.evaluation.contenders import TUNED, Contender
from models.next_item.evaluation.data import Data
from models.next_item.evaluation.figures import Floats, gains, kinds_of, measure, measure_lists, resample
from models.next_item.evaluation.ranking import Ranked, rank_cases
from models.next_item.evaluation.tuning import OBJECTIVE, tune
from models.next_item.model import NextItemModel
from models.next_item.session_neighbours import VSTAN, SessionNeighbours

COMPARED = ("recall@20", "mrr@20")
"""The figures that get intervals."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, and how many of how many steps are done."""


@dataclass(frozen=True, slots=True)
class Score:
    """One model. `kinds`: some figures on kinds of cases; `settings`: what was chosen, and what was tried."""

    name: str
    figures: dict[str, float]
    lists: dict[str, float]
    kinds: dict[str, dict[str, float]]
    drawn: Floats
    """(1 + rounds, `COMPARED`): figures on the cases, then on the cases of sessions drawn anew."""
    fit_s: float
    """CPU seconds of all threads."""
    batch_us: float
    alone_us: float
    settings: dict[str, Any]

    def interval(self, figure: str) -> Interval:
        """A figure of `COMPARED` with its interval."""
        return interval_of(self.drawn[:, COMPARED.index(figure)])

    def versus(self, other: "Score", figure: str) -> Interval:
        """Its difference from another model's, on the same drawn sessions."""
        place = COMPARED.index(figure)
        return interval_of(self.drawn[:, place] - other.drawn[:, place])


def compare(
    data: Data, contenders: Mapping[str, Contender], *, progress: Progress
) -> tuple[list[Score], dict[str, str]]:
    """The scores of all that can take part, and why the others cannot, by name."""
    scores, left_out = [], {}
    for name, contender in contenders.items():
        obstacle = contender.obstacle(data.train.n_items)
        if obstacle is not None:
            left_out[name] = obstacle
            continue
        scores.append(_score(name, contender, data, progress))
    return scores, left_out


def _score(name: str, contender: Contender, data: Data, progress: Progress) -> Score:
    model, settings = _make(name, contender, data, progress)
    progress(f"{name} fits", 0, len(data.cases))
    began = time.process_time()
    model.fit(data.train)
    fit_s = time.process_time() - began
    ranked = rank_cases(
        model,
        data.cases,
        data.train.n_items,
        exclude_current=data.protocol.collapse_repeats,
        progress=lambda done: progress(name, done, len(data.cases)),
    )
    return make_score(name, ranked, data, fit_s=fit_s, settings=settings | contender.describe())


def make_score(name: str, ranked: Ranked, data: Data, *, fit_s: float, settings: dict[str, Any]) -> Score:
    """All figures of what one model answered."""
    by_case = gains(ranked.rank)
    kinds = {}
    for kind, mask in kinds_of(data.cases).items():
        found = measure(ranked.rank[mask])
        kinds[kind] = {"cases": float(mask.sum()), **{figure: found[figure] for figure in COMPARED}}
    return Score(
        name=name,
        figures={figure: float(values.mean()) for figure, values in by_case.items()},
        lists=measure_lists(ranked, data.cases, data.counts),
        kinds=kinds,
        drawn=resample(data.cases, [by_case[figure] for figure in COMPARED]),
        fit_s=fit_s,
        batch_us=ranked.batch_us,
        alone_us=ranked.alone_us,
        settings=settings,
    )


def _make(
    name: str, contender: Contender, data: Data, progress: Progress
) -> tuple[NextItemModel, dict[str, Any]]:
    if name != TUNED:
        return contender.make(), {}
    tuned = tune(name, VSTAN, data, progress=lambda done, total: progress(f"{name} tunes", done, total))
    tried = [{"change": change, OBJECTIVE: figure} for change, figure in tuned.tried]
    return SessionNeighbours(name, tuned.config), {"chosen": asdict(tuned.config), "tried": tried}
