"""Microseconds of a recommendation and memory of the index, on sessions of a made-up shop."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import psutil

from contracts.products import Amount, Product
from contracts.sessions import BOUGHT, CARTED, VIEWED, StoredSession
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from models.recommendation.recent_sessions import RecentSessions
from models.recommendation.recommend import recommend
from models.recommendation.request import RecommendationRequest, Scenario, Step
from models.recommendation.sources.source import Asked
from models.recommendation.sources.visitor import DEFAULT, find_next

PRODUCTS_OF_CATEGORY = 100
_NEIGHBOURS = 500
"""A visitor moves among so many products, in the order of popularity."""
_START_MS = 1_759_276_800_000
_SCENARIOS = (Scenario.FOR_YOU, Scenario.SIMILAR, Scenario.FOR_CART, Scenario.TRENDING)
_LIMIT = 10


@dataclass(frozen=True, slots=True)
class QueryRow:
    """CPU microseconds of one question, over all questions."""

    what: str
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class RecommendationFigures:
    """Sizes, time of a put, memory in bytes, and the questions. `is_compiled`: else all is Python.

    `bytes_per_session` is the index with its products; `bytes_per_product` the catalogue, by what the
    process grew when it was filled.
    """

    sessions: int
    products: int
    is_compiled: bool
    put_us: float
    bytes_per_session: float
    bytes_per_product: float
    rows: tuple[QueryRow, ...]


def measure_recommendations(
    sessions: int, products: int, queries: int, *, seed: int, progress: Callable[[int], object]
) -> RecommendationFigures:
    """Fill an index and a catalogue, and ask; `progress` is called once for each thousandth of it."""
    chance = random.Random(seed)
    index, catalogue = make_index(sessions), CatalogueView()
    before = psutil.Process().memory_info().rss
    for number in range(products):
        category = f"category {number % max(1, products // PRODUCTS_OF_CATEGORY)}"
        facts = Product(title=f"Item {number}", price=Amount(1_000, "EUR"), categories=(category,), stock=9)
        catalogue.tell(f"p{number}", facts)
    catalogue_bytes = psutil.Process().memory_info().rss - before
    made = [_session(chance, products, number) for number in range(min(sessions, 20_000))]
    spent_s = 0.0
    for start in range(0, sessions, 1_000):
        batch = [_session(chance, products, n) for n in range(start, min(start + 1_000, sessions))]
        began = time.process_time()
        for number, session in enumerate(batch, start):
            index.put(f"visitor {number}", 0, session)
        spent_s += time.process_time() - began
        progress(1)
    rows = [_time_scoring(index, catalogue, made[-queries:], sessions)]
    rows += [_time_answers(index, catalogue, made[-queries:], sessions, scenario) for scenario in _SCENARIOS]
    return RecommendationFigures(
        sessions,
        products,
        type(index).__name__ == "CompiledSessions",
        1e6 * spent_s / sessions,
        index.n_bytes / sessions,
        catalogue_bytes / products,
        tuple(rows),
    )


def _session(chance: random.Random, products: int, number: int) -> StoredSession:
    """Two products or more around one that is drawn by Zipf's law."""
    size = 2 + min(28, int(chance.expovariate(0.4)))
    centre = int(products ** chance.random())
    items = dict.fromkeys(f"p{(centre + chance.randrange(_NEIGHBOURS)) % products}" for _ in range(size))
    actions = tuple(chance.choices((VIEWED, VIEWED | CARTED, VIEWED | BOUGHT), (90, 7, 3), k=len(items)))
    at_ms = _START_MS + 100 * number
    return StoredSession(at_ms, at_ms, tuple(items), actions)


def _request(session: StoredSession, sessions: int, scenario: Scenario) -> RecommendationRequest:
    now_ms = _START_MS + 100 * sessions
    return RecommendationRequest(
        now_ms=now_ms,
        scenario=scenario,
        limit=_LIMIT,
        prefix=tuple(Step(one, VIEWED, now_ms - 1_000) for one in session.items),
        product_id=session.items[-1],
        cart=session.items[:2],
    )


def _time_scoring(
    index: RecentSessions, catalogue: CatalogueView, visits: list[StoredSession], sessions: int
) -> QueryRow:
    asked = [
        Asked(index, catalogue, _request(visit, sessions, Scenario.FOR_YOU), 5 * _LIMIT) for visit in visits
    ]
    return _row("scoring of for_you", [_timed(partial(find_next, one, DEFAULT)) for one in asked])


def _time_answers(
    index: RecentSessions,
    catalogue: CatalogueView,
    visits: list[StoredSession],
    sessions: int,
    scenario: Scenario,
) -> QueryRow:
    requests = [_request(visit, sessions, scenario) for visit in visits]
    spent = [_timed(partial(recommend, index, catalogue, one)) for one in requests]
    return _row(f"whole answer, {scenario.value}", spent)


def _timed(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def _row(what: str, spent_s: list[float]) -> QueryRow:
    p50, p99 = np.percentile(spent_s, (50, 99))
    return QueryRow(what, 1e6 * float(p50), 1e6 * float(p99))
