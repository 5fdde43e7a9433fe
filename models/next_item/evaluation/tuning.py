"""The settings of session neighbours, chosen on sessions held back from training, one parameter at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from models.next_item.cases import cases_of
from models.next_item.evaluation.data import Data, EvaluationProtocol, hold_back
from models.next_item.evaluation.figures import measure
from models.next_item.evaluation.ranking import rank_targets
from models.next_item.model import Scores
from models.next_item.session_neighbours import VSTAN, NeighbourConfig, SessionNeighbours
from models.next_item.sessions import Codes, Sessions

OBJECTIVE = "ndcg@20"
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "current_weight": (1.0, 0.5, 0.2, 0.05),
    "steps_scale": (1.0, 2.0, 4.0, 8.0),
    "distance_scale": (1.0, 2.0, 4.0, 8.0, None),
    "match_scale": (1.0, 2.0, 4.0, None),
    "age_scale": (0.1, 0.3, 1.0, None),
    "idf_weight": (None, 0.2, 0.5, 1.0),
    "k": (100, 500, 1_500),
}
"""What is tried, in this order; each choice is kept for those after it."""
_MOST_CASES = 4_000


class Tuned(NamedTuple):
    """The settings chosen, and the figure of each that was tried."""

    config: NeighbourConfig
    tried: list[tuple[dict[str, Any], float]]


def tune(name: str, start: NeighbourConfig, data: Data, *, progress: Callable[[int, int], None]) -> Tuned:
    """The settings with the highest NDCG@20 on the latest sessions of the training data.

    The cases of `data` never take part. Of many inner cases `_MOST_CASES` are asked, spread evenly.
    `progress` hears how many of how many settings are done.
    """
    inner = hold_back(data.train, data.protocol)
    inner = inner._replace(cases=inner.cases.spread(_MOST_CASES))
    total = 1 + sum(len(values) - 1 for values in CHOICES.values())
    best, best_figure = start, _figure(name, start, inner)
    tried: list[tuple[dict[str, Any], float]] = [({}, best_figure)]
    for parameter, values in CHOICES.items():
        before = best
        for value in values:
            if value == getattr(before, parameter):
                continue
            progress(len(tried), total)
            config = replace(before, **{parameter: value})
            figure = _figure(name, config, inner)
            tried.append(({parameter: value}, figure))
            if figure > best_figure:
                best, best_figure = config, figure
    progress(total, total)
    return Tuned(best, tried)


class TunedNeighbours:
    """VSTAN with settings chosen on the latest of the sessions that it is fitted on first."""

    name = "vstan"

    def __init__(self) -> None:
        self._config: NeighbourConfig | None = None

    def fit(self, sessions: Sessions) -> None:
        if self._config is None:
            data = Data(sessions, cases_of(sessions).take(slice(0)), EvaluationProtocol())
            self._config = tune(self.name, VSTAN, data, progress=lambda *_: None).config
        self._model = SessionNeighbours(self.name, self._config)
        self._model.fit(sessions)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        return self._model.scores(prefixes)


def _figure(name: str, config: NeighbourConfig, data: Data) -> float:
    model = SessionNeighbours(name, config)
    model.fit(data.train)
    excluded = data.protocol.collapse_repeats
    rank = rank_targets(model, data.cases, data.train.n_items, exclude_current=excluded)
    return measure(rank)[OBJECTIVE]
