"""What a ranker reads of each candidate for the next product: only what the live path can tell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.sessions import BOUGHT, CARTED
from models.recommendation.catalogue import CatalogueView
from models.recommendation.recent_sessions import RecentSessions, Scored
from models.recommendation.request import Step

Floats = npt.NDArray[np.float32]

CANDIDATES = 100
"""The best products of the recent sessions that a model is asked about, at least."""
OF_INDEX = (
    "index_score", "index_place", "index_rank", "votes", "again", "gone_on_to", "of_categories"
)  # fmt: skip
"""The score of the recent sessions, where it is between those of the candidates, its rank and its parts."""
OF_PAIRS = ("cosine_latest", "cosine_highest", "cosine_sum", "visits_latest")
"""How often sessions have it together with the visitor's latest products."""
OF_NETWORK = ("network_score", "network_place", "network_rank")
OF_POPULARITY = ("log_share", "log_recent_share", "log_since", "strong_share", "latest_log_share")
"""Shares of all sessions and of the newest, sessions since it was met, and the share with a cart or order."""
OF_VISITOR = ("steps", "products", "session_steps", "times", "steps_back", "carted", "bought")
OF_FACTS = ("same_category", "category_share", "same_brand", "log_price_ratio")
FEATURES = (*OF_INDEX, *OF_PAIRS, *OF_NETWORK, *OF_POPULARITY, *OF_VISITOR, *OF_FACTS)
ANCHORS = 5
"""Products of the visitor, the latest, that candidates are paired with."""
PAIR_DECAY = 0.8
"""What an anchor counts against the one after it."""
RECENT_SHARE = 0.02
"""Of the sessions, the newest, whose popularity is recent."""
NOT_LEARNT = -2.0
"""Network score of what the network has not learnt, below any cosine."""
_SHRINK = 5.0
"""So many sessions without a cart are added to those of each product."""
_NEVER_BACK = 1_000.0
"""Steps back to a product that the visitor never had."""
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Situation:
    """A question about the next product, taken apart.

    `latest` are the visitor's distinct products, the latest first, `session` those of the present one, with
    repeats. `again` are the scores of the visitor's own products, `shares` lists of products of a category,
    each with a weight, `gone_on_to` what others went on to from the latest one.
    """

    index: RecentSessions
    catalogue: CatalogueView
    now_ms: int
    visitor_id: str | None
    steps: Sequence[Step]
    session: Sequence[str]
    latest: Sequence[str]
    again: Sequence[tuple[str, float]]
    shares: Sequence[tuple[Sequence[Scored], float]]
    gone_on_to: Sequence[Scored]


def describe(
    asked: Situation, found: Sequence[Scored], network: npt.NDArray[np.floating[Any]] | None
) -> Floats:
    """(candidates, `FEATURES`) of candidates, the best first, and of the scores of a `network` (candidates,).

    NaN is a candidate that it has not learnt, None a session of which it has learnt nothing.
    """
    names = [product_id for product_id, _ in found]
    place_of = {name: place for place, name in enumerate(names)}
    n = len(names)
    columns = np.zeros((len(FEATURES), n), np.float32)
    rows: list[npt.NDArray[Any]] = [
        *_of_index(asked, np.array([score for _, score in found]), place_of),
        *_of_pairs(asked, names),
        *_of_network(n, network),
        *_of_popularity(asked, names),
        *_of_visitor(asked, n, place_of),
        *_of_facts(asked, names),
    ]
    for column, values in zip(columns, rows, strict=True):
        column[:] = values
    return np.ascontiguousarray(columns.T)


def _of_index(
    asked: Situation, score: npt.NDArray[np.float64], place_of: dict[str, int]
) -> Sequence[npt.NDArray[Any]]:
    n = len(score)
    low, high = score[min(n, CANDIDATES) - 1], score[0]
    again, gone_on_to, of_categories = np.zeros((3, n))
    _add(again, asked.again, place_of)
    _add(gone_on_to, asked.gone_on_to, place_of)
    for share, weight in asked.shares:
        _add(of_categories, share, place_of, weight)
    votes = score - again - gone_on_to - of_categories
    place = (score - low) / max(high - low, _LEAST)
    return score, place, np.arange(1, n + 1), votes, again, gone_on_to, of_categories


def _add(
    to: npt.NDArray[np.float64],
    scores: Sequence[tuple[str, float]],
    place_of: dict[str, int],
    weight: float = 1.0,
) -> None:
    for product_id, score in scores:
        place = place_of.get(product_id)
        if place is not None:
            to[place] += weight * score


def _of_pairs(asked: Situation, names: list[str]) -> Sequence[npt.NDArray[Any]]:
    index = asked.index
    anchors = list(islice(asked.latest, ANCHORS))
    visits = np.array(index.visits_together(names, anchors, skip_visitor=asked.visitor_id), np.float64)
    # `visits` are of the newest sessions of an anchor that there is room for.
    of_anchors = [max(1, min(index.sessions_with(one), index.sessions_per_item)) for one in anchors]
    of_names = np.maximum(1, np.fromiter(map(index.sessions_with, names), np.float64, len(names)))
    cosines = visits / np.sqrt(np.array(of_anchors)[:, None] * of_names)
    decayed = PAIR_DECAY ** np.arange(len(anchors)) @ cosines
    return cosines[0], cosines.max(axis=0), decayed, visits[0]


def _of_network(n: int, scores: npt.NDArray[np.floating[Any]] | None) -> Sequence[npt.NDArray[Any]]:
    if scores is None:
        return np.full(n, NOT_LEARNT), np.zeros(n), np.full(n, n + 1)
    learnt = ~np.isnan(scores)
    known = scores[learnt]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    score = np.where(learnt, scores, NOT_LEARNT)
    rank = np.empty(n)
    rank[np.argsort(-score, kind="stable")] = np.arange(1, n + 1)
    return score, np.where(learnt, (score - low) / max(high - low, _LEAST), -1.0), rank


def _of_popularity(asked: Situation, names: list[str]) -> Sequence[npt.NDArray[Any]]:
    n_sessions = asked.index.n_sessions
    newest = max(1, round(RECENT_SHARE * n_sessions))
    found = asked.index.standings([*names, asked.latest[0]], newest)
    sessions, strong, recent, since = np.array(found, np.float64).T
    share = np.log((sessions + 0.5) / (n_sessions + 1.0))
    return (
        share[:-1],
        np.log((recent[:-1] + 0.5) / (newest + 1.0)),
        np.log1p(since[:-1]),
        strong[:-1] / (sessions[:-1] + _SHRINK),
        np.full(len(names), share[-1]),
    )


def _of_visitor(asked: Situation, n: int, place_of: dict[str, int]) -> Sequence[npt.NDArray[Any]]:
    times, carted, bought = np.zeros((3, n))
    steps_back = np.full(n, _NEVER_BACK)
    for back, step in enumerate(reversed(asked.steps)):
        place = place_of.get(step.product_id)
        if place is not None:
            times[place] += 1
            steps_back[place] = min(steps_back[place], back)
            if step.mask & CARTED:
                carted[place] = 1.0
            if step.mask & BOUGHT:
                bought[place] = 1.0
    of_all = len(asked.steps), len(asked.latest), len(asked.session)
    return *(np.full(n, value) for value in of_all), times, steps_back, carted, bought


def _of_facts(asked: Situation, names: list[str]) -> Sequence[npt.NDArray[Any]]:
    """All 0 where nothing is known."""
    columns = np.zeros((len(OF_FACTS), len(names)))
    if not len(asked.catalogue):
        return tuple(columns)
    same_category, category_share, same_brand, price_ratio = columns
    facts_of, now_ms = asked.catalogue.facts_of, asked.now_ms
    own = [facts_of(one) for one in islice(asked.latest, ANCHORS)]
    categories = [frozenset(facts.categories) for facts in own]
    prices = [price for facts in own if (price := facts.price_at(now_ms)) is not None and price.minor > 0]
    currency = prices[0].currency if prices else None
    logs = [math.log(price.minor) for price in prices if price.currency == currency]
    usual = sum(logs) / len(logs) if logs else 0.0
    for place, name in enumerate(names):
        facts = facts_of(name)
        if facts.categories:
            shared = [not one.isdisjoint(facts.categories) for one in categories]
            same_category[place] = shared[0]
            category_share[place] = sum(shared) / len(shared)
        if facts.brand is not None:
            same_brand[place] = facts.brand == own[0].brand
        price = facts.price_at(now_ms) if logs else None
        if price is not None and price.minor > 0 and price.currency == currency:
            price_ratio[place] = math.log(price.minor) - usual
    return tuple(columns)
