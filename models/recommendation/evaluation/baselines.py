"""What recommendations are compared with: counts that anybody would keep, in the same replay."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from contracts.visitor import Action
from models.recommendation.evaluation.replay import CUT, Past

_REFRESH = 50
"""Actions after which the most popular products are sorted again."""
_DECAY = 0.8
"""What a product of the session counts against the one after it."""


class Popularity:
    """What occurred most often; with a half-life, an occurrence counts half after so long."""

    def __init__(self, name: str, half_life_ms: float | None = None) -> None:
        self.name = name
        self._half_life_ms = half_life_ms
        self._counts: dict[str, float] = {}
        self._top: list[str] = []
        self._n = 0
        self._start_ms: int | None = None

    def best(self, past: Past, now_ms: int) -> Sequence[str]:
        """See `Contender`."""
        return self.top

    @property
    def top(self) -> Sequence[str]:
        """The most popular products, the first first."""
        return self._top

    def learn(self, past: Past, action: Action) -> None:
        """See `Contender`."""
        if self._start_ms is None:
            self._start_ms = action.at_ms
        weight = 1.0
        if self._half_life_ms is not None:
            weight = 2.0 ** ((action.at_ms - self._start_ms) / self._half_life_ms)
        self._counts[action.product_id] = self._counts.get(action.product_id, 0.0) + weight
        if self._n % _REFRESH == 0:
            self._top = heapq.nlargest(3 * CUT, self._counts, key=self._counts.__getitem__)
        self._n += 1


class _Pairs:
    """Weights from product to product, completed by popularity."""

    def __init__(self, name: str, popularity: Popularity) -> None:
        self.name = name
        self._popularity = popularity
        self._weights: dict[str, dict[str, float]] = defaultdict(dict)

    def _add(self, one: str, other: str) -> None:
        row = self._weights[one]
        row[other] = row.get(other, 0.0) + 1.0

    def _best(self, scores: Mapping[str, float]) -> Sequence[str]:
        return complete(heapq.nlargest(CUT + 1, scores, key=scores.__getitem__), self._popularity)


class Markov(_Pairs):
    """What came directly after the latest product."""

    def best(self, past: Past, now_ms: int) -> Sequence[str]:
        """See `Contender`."""
        return self._best(self._weights.get(past.latest, {}))

    def learn(self, past: Past, action: Action) -> None:
        """See `Contender`."""
        if len(past.session) > 1:
            self._add(past.session[-2].product_id, action.product_id)


class Cooccurrence(_Pairs):
    """What was in the same sessions as the products of this one, of all of them, .8 a step."""

    def best(self, past: Past, now_ms: int) -> Sequence[str]:
        """See `Contender`."""
        scores: dict[str, float] = {}
        weight = 1.0
        for product_id in distinct(past.session):
            for other, count in self._weights.get(product_id, {}).items():
                scores[other] = scores.get(other, 0.0) + weight * count
            weight *= _DECAY
        return self._best(scores)

    def learn(self, past: Past, action: Action) -> None:
        """See `Contender`."""
        before = {one.product_id for one in past.session[:-1]}
        if action.product_id not in before:
            for other in before:
                self._add(other, action.product_id)
                self._add(action.product_id, other)


class SessionItems:
    """The products of the session, the latest first, then by popularity."""

    def __init__(self, name: str, popularity: Popularity) -> None:
        self.name = name
        self._popularity = popularity

    def best(self, past: Past, now_ms: int) -> Sequence[str]:
        """See `Contender`."""
        return complete(distinct(past.session), self._popularity)

    def learn(self, past: Past, action: Action) -> None:
        """Nothing: its popularity learns."""


def distinct(session: Sequence[Action]) -> Iterator[str]:
    """The products of a session, the latest first, each once."""
    return iter(dict.fromkeys(action.product_id for action in reversed(session)))


def complete(best: Iterable[str], popularity: Popularity) -> Sequence[str]:
    """The list with popular products behind it."""
    return list(islice(dict.fromkeys((*best, *popularity.top)), CUT + 1))


def baselines() -> list[Popularity | Markov | Cooccurrence | SessionItems]:
    """All of them. Pairs are completed by recent popularity, or they would miss where they know nothing."""
    recent = Popularity("recent popularity", 6 * 3_600_000.0)
    return [
        Popularity("popularity"),
        recent,
        SessionItems("session's own products", recent),
        Markov("markov", recent),
        Cooccurrence("co-occurrence", recent),
    ]
