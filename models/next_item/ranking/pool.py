"""The pool of candidates: models that propose items, and pairs to learn an order of them from.

What an order is learnt from must look like what it will be asked: so the models that score the pairs have
learnt only from sessions before them. Afterwards they learn from all.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from models.next_item.cases import Cases, known_cases_of
from models.next_item.model import NextItemModel, Scores
from models.next_item.ranking.candidates import PER_SOURCE, Ints, Pairs, collect, feature_names
from models.next_item.ranking.item_statistics import measure_items
from models.next_item.sessions import Codes, Sessions, split_by_time

HELD_BACK = 0.1
"""Sessions, the newest, that pairs are of; a network in the pool is trained with as many as validation."""
CHECKED_SHARE = 0.3
"""Of these sessions, again the newest, whose pairs are to check on."""
MOST_LEARNT, MOST_CHECKED = 20_000, 5_000
"""Prefixes of each at most, evenly from all."""
_LENGTH = 50
"""Newest items of a prefix that are looked at."""
_BATCH = 64


class Labelled(NamedTuple):
    """Pairs, and of each prefix (n,) how many pairs it has and the place of its target among all pairs."""

    pairs: Pairs
    sizes: Ints
    target_at: Ints


class CandidatePool:
    """Several models under one roof; `on_prefixes` is told how many prefixes more have their pairs."""

    def __init__(
        self,
        sources: Sequence[NextItemModel],
        *,
        per_source: int = PER_SOURCE,
        on_prefixes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.sources = list(sources)
        self._per_source, self._on_prefixes = per_source, on_prefixes
        self._prepared: tuple[Sessions, tuple[Labelled, Labelled]] | None = None
        self.reached = float("nan")
        """Share of the checked targets that were among their candidates: no order can find more."""

    @property
    def feature_names(self) -> list[str]:
        """Names of the features of a pair."""
        return feature_names(self.sources)

    def prepare(self, sessions: Sessions) -> tuple[Labelled, Labelled]:
        """Pairs to learn from and to check on; the models then have learnt from all sessions.

        Called again with the same sessions, it gives the same pairs without doing anything.
        """
        if self._prepared is None or self._prepared[0] is not sessions:
            early, rest = split_by_time(sessions, HELD_BACK)
            learnt, checked = split_by_time(rest, CHECKED_SHARE)
            self._fit(early)
            parts = (
                self._label(known_cases_of(learnt, _LENGTH), MOST_LEARNT),
                self._label(known_cases_of(checked, _LENGTH), MOST_CHECKED),
            )
            self._fit(sessions)
            self._prepared = sessions, parts
        return self._prepared[1]

    def collect(self, prefixes: Sequence[Codes]) -> tuple[Pairs, Scores]:
        """The candidates of prefixes, and what the first model scores (n, items)."""
        scores = [source.scores(prefixes) for source in self.sources]
        return collect(prefixes, scores, self._statistics, self._per_source), scores[0]

    def _fit(self, sessions: Sessions) -> None:
        for source in self.sources:
            source.fit(sessions)
        self._statistics = measure_items(sessions)

    def _label(self, cases: Cases, most: int) -> Labelled:
        """Pairs of the prefixes whose target is among their candidates."""
        cases = cases.spread(most)
        parts, n_before = [], 0
        for at in range(0, len(cases), _BATCH):
            batch = cases.take(slice(at, at + _BATCH))
            pairs, _ = self.collect(batch.prefixes())
            parts.append(_with_target(pairs, batch.targets, n_before))
            n_before += len(parts[-1].sizes)
            self._on_prefixes(len(batch))
        if not n_before:
            raise ValueError("no target of the newest sessions is among the candidates of the models")
        self.reached = n_before / len(cases)
        return _joined(parts)


def _with_target(pairs: Pairs, targets: Codes, n_before: int) -> Labelled:
    """The pairs of the prefixes whose target is a candidate, their rows counted on from `n_before`."""
    is_target = pairs.item == targets[pairs.row]
    found = np.zeros(len(targets), dtype=bool)
    found[pairs.row[is_target]] = True
    kept = found[pairs.row]
    row = (n_before + np.cumsum(found) - 1)[pairs.row[kept]]
    left = Pairs(row, pairs.item[kept], pairs.features[kept], pairs.relative[kept])
    return Labelled(left, np.bincount(row - n_before), np.flatnonzero(is_target[kept]))


def _joined(parts: Sequence[Labelled]) -> Labelled:
    pairs = Pairs(*(np.concatenate(columns) for columns in zip(*(part.pairs for part in parts), strict=True)))
    n_before = np.cumsum([0, *(len(part.pairs.row) for part in parts[:-1])])
    target_at = [part.target_at + at for part, at in zip(parts, n_before, strict=True)]
    return Labelled(pairs, np.concatenate([part.sizes for part in parts]), np.concatenate(target_at))
