"""Recent sessions in Python: the definition, and what is taken where nothing is compiled.

`models.recommendation.compiled` gives the same at a fraction of the time and the memory.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TypeVar

from models.recommendation.recent_sessions import (
    MAX_ITEMS,
    MAX_PREFIX,
    SHARE_HALF_LIFE_MS,
    AnySession,
    KeptAnswers,
    Popular,
    Scored,
    Scoring,
    Standing,
    Together,
)

_Found = TypeVar("_Found", Scored, Together, Popular)
_BYTES = 1_500
"""Of a session with its postings, about."""


@dataclass(slots=True, eq=False)
class _Session:
    number: int
    visitor: str
    start_ms: int
    last_ms: int
    items: tuple[str, ...]
    actions: tuple[int, ...]


@dataclass(slots=True)
class _Postings:
    """Sessions with a product, the newest last."""

    all: dict[_Session, None] = field(default_factory=dict)
    strong: dict[_Session, None] = field(default_factory=dict)
    """Those in which it was put into the cart or bought."""
    n_sessions: int = 0
    """Also those that `all` had no room for."""
    n_strong: int = 0
    weight: float = 0.0
    """The sessions, each by its start: forward decay, as in `models.trending`."""


class PythonSessions:
    """See `models.recommendation.recent_sessions.RecentSessions`."""

    def __init__(self, max_sessions: int = 1_000_000, sessions_per_item: int = 1_000) -> None:
        if max_sessions < 1 or sessions_per_item < 1:
            raise ValueError("max_sessions and sessions_per_item must be 1 or more")
        self.max_sessions, self.sessions_per_item = max_sessions, sessions_per_item
        self._sessions: dict[tuple[str, int], _Session] = {}
        self._places: dict[str, set[int]] = {}
        self._postings: dict[str, _Postings] = {}
        self._answers = KeptAnswers()
        self._landmark_ms: int | None = None
        self._n_begun = 0

    @property
    def n_sessions(self) -> int:
        return len(self._sessions)

    @property
    def n_items(self) -> int:
        """See the protocol."""
        return len(self._postings)

    @property
    def n_bytes(self) -> int:
        """See the protocol."""
        return _BYTES * len(self._sessions)

    def __contains__(self, product_id: str) -> bool:
        """See the protocol."""
        return product_id in self._postings

    def put(self, visitor: str, place: int, session: AnySession) -> None:
        """See the protocol."""
        key = visitor, place
        if len(session.items) != len(session.actions):
            raise ValueError("a session has more or fewer actions than products")
        if not 0 <= place <= 255:
            raise ValueError("a place must be 0 to 255")
        items, actions = tuple(session.items[-MAX_ITEMS:]), tuple(session.actions[-MAX_ITEMS:])
        known = self._sessions.get(key)
        if known is not None and (not items or known.start_ms != session.start_ms):
            self._remove(key)
            known = None
        if not items:
            return
        before: Mapping[str, int] = {}
        if known is not None:
            before = dict(zip(known.items, known.actions, strict=True))
            known.last_ms, known.items, known.actions = session.last_ms, items, actions
        else:
            if len(self._sessions) == self.max_sessions:
                self._remove(next(iter(self._sessions)))
            known = _Session(self._n_begun, visitor, session.start_ms, session.last_ms, items, actions)
            self._n_begun += 1
            self._sessions[key] = known
            self._places.setdefault(visitor, set()).add(place)
        after = dict(zip(items, actions, strict=True))
        for product_id, mask in after.items():
            self._post(product_id, known, before.get(product_id), mask)
        for product_id in before.keys() - after.keys():
            self._unpost(product_id, known, before[product_id])

    def forget(self, visitor: str) -> None:
        """See the protocol."""
        self._answers.clear()
        for place in tuple(self._places.get(visitor, ())):
            self._remove((visitor, place))

    def sessions_with(self, product_id: str) -> int:
        """See the protocol."""
        postings = self._postings.get(product_id)
        return 0 if postings is None else postings.n_sessions

    def standings(self, products: Sequence[str], newest: int) -> list[Standing]:
        """See the protocol."""
        found = []
        for product_id in products:
            postings = self._postings.get(product_id)
            if postings is None:
                found.append(Standing(0, 0, 0, self.n_sessions))
                continue
            ages = [self._n_begun - 1 - session.number for session in reversed(postings.all)]
            recent = sum(1 for _ in takewhile(lambda age: age < newest, ages))
            since = ages[0] if ages else self.n_sessions
            found.append(Standing(postings.n_sessions, postings.n_strong, recent, since))
        return found

    def next_products(
        self,
        prefix: Sequence[tuple[str, float]],
        scoring: Scoring,
        *,
        limit: int,
        now_ms: int,
        extra: Sequence[tuple[str, float]] = (),
        shares: Sequence[tuple[Sequence[Scored], float]] = (),
        skip_visitor: str | None = None,
    ) -> list[Scored]:
        """See the protocol."""
        prefix = prefix[:MAX_PREFIX]
        scores = self._votes(prefix, scoring, now_ms, skip_visitor)
        if prefix and scoring.transition_weight:
            for product_id, share in self._transitions(prefix[0][0], scoring, skip_visitor).items():
                scores[product_id] = scores.get(product_id, 0.0) + scoring.transition_weight * share
        for found, factor in (*shares, (extra, 1.0)):
            for product_id, score in found:
                scores[product_id] = scores.get(product_id, 0.0) + factor * score
        return _highest((Scored(*pair) for pair in scores.items()), limit)

    def together(
        self,
        product_id: str,
        from_mask: int,
        to_mask: int,
        *,
        limit: int,
        skip_visitor: str | None = None,
    ) -> list[Together]:
        """See the protocol."""
        counts: dict[str, int] = {}
        n = 0
        for session in self._with(product_id, from_mask, skip_visitor):
            if not session.actions[session.items.index(product_id)] & from_mask:
                continue
            n += 1
            for other, mask in zip(session.items, session.actions, strict=True):
                if mask & to_mask and other != product_id:
                    counts[other] = counts.get(other, 0) + 1
        found = (
            Together(other, count / math.sqrt(n * self._n_with(other, to_mask)), count)
            for other, count in counts.items()
        )
        return _highest(found, limit)

    def visits_together(
        self, products: Sequence[str], others: Sequence[str], *, skip_visitor: str | None = None
    ) -> list[list[int]]:
        """See the protocol."""
        rows = []
        for other in others:
            counts = dict.fromkeys(products, 0)
            for session in self._with(other, 0, skip_visitor):
                for product_id in session.items:
                    if product_id in counts:
                        counts[product_id] += 1
            rows.append([counts[product_id] for product_id in products])
        return rows

    def popular(
        self,
        weights: tuple[float, float, float],
        half_life_ms: float,
        *,
        now_ms: int,
        newest: int = 100_000,
        limit: int = 1_000,
        old_ms: int = 0,
    ) -> list[Popular]:
        """See the protocol."""
        question = weights, half_life_ms, newest, limit
        if (known := self._answers.find(question, now_ms, old_ms)) is not None:
            return known
        scores: dict[str, float] = {}
        visits: dict[str, int] = {}
        for session, _ in zip(reversed(self._sessions.values()), range(newest), strict=False):
            decay = 0.5 ** (max(0, now_ms - session.last_ms) / half_life_ms)
            for product_id, mask in zip(session.items, session.actions, strict=True):
                scores[product_id] = scores.get(product_id, 0.0) + decay * weight_of(mask, weights)
                visits[product_id] = visits.get(product_id, 0) + 1
        found = (
            Popular(product_id, score, visits[product_id]) for product_id, score in scores.items() if score
        )
        return self._answers.keep(question, now_ms, _highest(found, limit))

    def popular_among(
        self, group: str, products: Iterable[str], *, limit: int, now_ms: int, old_ms: int = 0
    ) -> list[Scored]:
        """See the protocol."""
        question = group, limit
        if (known := self._answers.find(question, now_ms, old_ms)) is not None:
            return known
        found = {one: self._postings[one].weight for one in products if one in self._postings}
        total = sum(found.values())
        shares = [Scored(one, weight / total) for one, weight in found.items() if weight > 0]
        return self._answers.keep(question, now_ms, _highest(shares, limit))

    def _weight_at(self, start_ms: int) -> float:
        if self._landmark_ms is None:
            self._landmark_ms = start_ms
        return float(2.0 ** min(1_000.0, (start_ms - self._landmark_ms) / SHARE_HALF_LIFE_MS))

    def _votes(
        self,
        prefix: Sequence[tuple[str, float]],
        scoring: Scoring,
        now_ms: int,
        skip_visitor: str | None,
    ) -> dict[str, float]:
        """Product to its share of the neighbours' votes."""
        similarity: dict[_Session, float] = {}
        matched: dict[_Session, int] = {}
        for back, (product_id, weight) in enumerate(prefix):
            for session in self._with(product_id, 0, skip_visitor) if weight > 0 else ():
                similarity[session] = similarity.get(session, 0.0) + weight
                matched.setdefault(session, back)
        for session in similarity:
            similarity[session] /= math.sqrt(len(session.items))
            if scoring.age_scale_ms > 0:
                similarity[session] *= math.exp(-max(0, now_ms - session.last_ms) / scoring.age_scale_ms)
        scores: dict[str, float] = {}
        total = 0.0
        for session in heapq.nlargest(scoring.k, similarity, key=similarity.__getitem__):
            back = matched[session]
            vote = similarity[session] * _fade(back, scoring.match_scale)
            anchor = session.items.index(prefix[back][0])
            for place, (product_id, mask) in enumerate(zip(session.items, session.actions, strict=True)):
                part = vote * _fade(abs(place - anchor), scoring.distance_scale)
                part *= weight_of(mask, scoring.action_weights)
                if place < anchor:
                    part *= scoring.before_weight
                rarity = math.log(self.n_sessions / self._postings[product_id].n_sessions)
                part *= 1.0 + scoring.idf_weight * rarity
                total += part
                scores[product_id] = scores.get(product_id, 0.0) + part
        return {product_id: score / total for product_id, score in scores.items()} if total else scores

    def _transitions(self, product_id: str, scoring: Scoring, skip_visitor: str | None) -> dict[str, float]:
        """Product to the share of sessions that went on to it from another."""
        shares: dict[str, float] = {}
        n = 0
        for session in islice(self._with(product_id, 0, skip_visitor), scoring.transition_sessions):
            n += 1
            start = session.items.index(product_id) + 1
            following = session.items[start : start + scoring.transition_reach]
            for gap, other in enumerate(following, 1):
                weight = weight_of(session.actions[start + gap - 1], scoring.action_weights)
                shares[other] = shares.get(other, 0.0) + weight / gap
        return {other: share / (n + scoring.transition_shrink) for other, share in shares.items()}

    def _with(self, product_id: str, mask: int, skip_visitor: str | None) -> Iterable[_Session]:
        """Kept sessions with the product, the newest first; of a mask without views those that are strong."""
        postings = self._postings.get(product_id)
        if postings is None:
            return
        for session in reversed(postings.strong if mask and not mask & 1 else postings.all):
            if session.visitor != skip_visitor:
                yield session

    def _n_with(self, product_id: str, mask: int) -> int:
        postings = self._postings[product_id]
        return postings.n_sessions if mask & 1 else postings.n_strong

    def _post(self, product_id: str, session: _Session, before: int | None, mask: int) -> None:
        postings = self._postings.setdefault(product_id, _Postings())
        if before is None:
            postings.n_sessions += 1
            postings.weight += self._weight_at(session.start_ms)
            self._append(postings.all, session)
        if mask > 1 and not (before or 0) > 1:
            postings.n_strong += 1
            self._append(postings.strong, session)
        elif (before or 0) > 1 >= mask:
            postings.n_strong -= 1
            postings.strong.pop(session, None)

    def _append(self, sessions: dict[_Session, None], session: _Session) -> None:
        sessions[session] = None
        if len(sessions) > self.sessions_per_item:
            del sessions[next(iter(sessions))]

    def _unpost(self, product_id: str, session: _Session, mask: int) -> None:
        postings = self._postings[product_id]
        postings.n_sessions -= 1
        postings.weight -= self._weight_at(session.start_ms)
        postings.all.pop(session, None)
        if mask > 1:
            postings.n_strong -= 1
            postings.strong.pop(session, None)
        if not postings.n_sessions:
            del self._postings[product_id]

    def _remove(self, key: tuple[str, int]) -> None:
        session = self._sessions.pop(key)
        visitor, place = key
        self._places[visitor].discard(place)
        if not self._places[visitor]:
            del self._places[visitor]
        for product_id, mask in zip(session.items, session.actions, strict=True):
            self._unpost(product_id, session, mask)


def weight_of(mask: int, weights: tuple[float, float, float]) -> float:
    """The weight of the most that was done."""
    return weights[2] if mask & 4 else weights[1] if mask & 2 else weights[0]


def _fade(steps: int, scale: float) -> float:
    return math.exp(-steps / scale) if scale > 0 else 1.0


def _highest(found: Iterable[_Found], limit: int) -> list[_Found]:
    return heapq.nsmallest(limit, found, key=lambda one: (-one.score, one.product_id))
