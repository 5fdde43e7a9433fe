"""What comes next for a visitor.

Sessions like theirs vote, what others went on to counts, their own products may come again, and where little
is known the categories of their products help: see docs/recommendations.md for what each is worth.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

from contracts.sessions import BOUGHT, CARTED, VIEWED
from models.recommendation.answer import Reason
from models.recommendation.candidates import CANDIDATES, Situation, describe
from models.recommendation.recent_sessions import Scored, Scoring
from models.recommendation.request import EQUAL_WEIGHTS, RecommendationRequest, Step
from models.recommendation.session_model import Floats, Rows, SessionModel, blend, reorder, session_of
from models.recommendation.sources.source import Asked, Candidate, Source

HOUR_MS = 3_600_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorScoring:
    """How the parts are blended. What counts 1 is all the votes of the sessions like the visitor's."""

    scoring: Scoring = field(default_factory=Scoring)
    most: int = 10
    """Products of the visitor that are looked at, the latest."""
    steps_scale: float = 8.0
    """A product counts exp(-products after it / scale) in similarities."""
    pause_scale_ms: float = 24 * HOUR_MS
    """And exp(-its age / scale)."""
    latest_again: float = 1.5
    """The latest product itself."""
    earlier_again: float = 0.5
    """Earlier ones, the second latest so much, those before it less."""
    again_scale: float = 20.0
    """An earlier one counts exp(-products after the second latest / scale) of it."""
    times: float = 0.2
    """So much more for each further action with it."""
    carted: float = 2.0
    """As a factor of earlier ones that were put into the cart."""
    bought: float = 0.5
    """As a factor of those that were bought."""
    categories: int = 3
    """Products, the latest, whose categories count."""
    category_weight: float = 0.5
    """The most popular products of the latest product's category, by their shares in it."""
    category_decay: float = 0.3
    """As a factor for the product before, and again for the one before that."""
    category_products: int = 40
    category_most: int = 2_000
    """Products of a category that are looked at."""
    category_old_ms: int = 10_000
    """Shares as of so long ago will do."""


DEFAULT = VisitorScoring()
MOST_RANKED = 300
"""Candidates that a ranker puts in order, where rules want more; the others stand behind them."""
_IN_CART, _SEEN, _LIKE_VISITS = Reason("in_cart"), Reason("seen"), Reason("like_visits")


def latest_products(prefix: Sequence[Step], most: int) -> dict[str, tuple[Step, int]]:
    """The visitor's latest distinct products, the latest first.

    Each with its last step, which has all that was done with it, and the number of its steps.
    """
    found: dict[str, tuple[Step, int]] = {}
    for step in reversed(prefix):
        known = found.get(step.product_id)
        if known is not None:
            latest, times = known
            found[step.product_id] = latest._replace(mask=latest.mask | step.mask), times + 1
        elif len(found) < most:
            found[step.product_id] = step, 1
    return found


def prefix_of(request: RecommendationRequest) -> Sequence[Step]:
    """The visitor's steps; the product of the page is the latest of them."""
    page, prefix = request.product_id, request.prefix
    if page is None or (prefix and prefix[-1].product_id == page):
        return prefix
    return (*prefix, Step(page, VIEWED, request.now_ms))


class Parts(NamedTuple):
    """A question about a visitor's next product as the index is asked: see `RecentSessions.next_products`."""

    own: dict[str, tuple[Step, int]]
    prefix: list[tuple[str, float]]
    scoring: Scoring
    again: list[tuple[str, float]]
    shares: list[tuple[list[Scored], float]]


def find_next(asked: Asked, config: VisitorScoring) -> Iterable[Candidate]:
    """The likeliest next products of the visitor."""
    parts = _take_apart(asked, config)
    return [] if parts is None else _score(asked, parts, asked.n)


def _take_apart(asked: Asked, config: VisitorScoring) -> Parts | None:
    """None where nothing is known of the visitor."""
    request = asked.request
    own = latest_products(prefix_of(request), config.most)
    if not own:
        return None
    prefix = [
        (
            product_id,
            math.exp(
                -back / config.steps_scale - max(0, request.now_ms - step.at_ms) / config.pause_scale_ms
            ),
        )
        for back, (product_id, (step, _)) in enumerate(own.items())
    ]
    scoring = config.scoring
    if request.weights != EQUAL_WEIGHTS:
        scoring = replace(scoring, action_weights=request.weights)
    return Parts(own, prefix, scoring, _again(own, config), _of_categories(asked, own, config))


def _score(asked: Asked, parts: Parts, n: int) -> list[Scored]:
    return asked.index.next_products(
        parts.prefix,
        parts.scoring,
        limit=n,
        now_ms=asked.request.now_ms,
        extra=parts.again,
        shares=parts.shares,
        skip_visitor=asked.request.visitor_id,
    )


def _again(own: dict[str, tuple[Step, int]], config: VisitorScoring) -> list[tuple[str, float]]:
    found = []
    for back, (product_id, (step, times)) in enumerate(own.items()):
        score = config.latest_again
        if back:
            score = config.earlier_again * math.exp(-(back - 1) / config.again_scale)
            if step.mask & CARTED:
                score *= config.carted
        if step.mask & BOUGHT:
            score *= config.bought
        found.append((product_id, score * (1.0 + config.times * (times - 1))))
    return found


def _of_categories(
    asked: Asked, own: dict[str, tuple[Step, int]], config: VisitorScoring
) -> list[tuple[list[Scored], float]]:
    """The shares of products in their categories, each list with its weight."""
    catalogue, weight, known = asked.catalogue, config.category_weight, set[str]()
    found: list[tuple[list[Scored], float]] = []
    for product_id in islice(own, config.categories):
        categories = [one for one in catalogue.facts_of(product_id).categories if one not in known]
        known.update(categories)
        for category in categories:
            shares = asked.index.popular_among(
                category,
                islice(catalogue.in_category(category), config.category_most),
                limit=config.category_products,
                now_ms=asked.request.now_ms,
                old_ms=config.category_old_ms,
            )
            found.append((shares, weight / len(categories)))
        weight *= config.category_decay
    return found


class Ranked(NamedTuple):
    """Candidates as the recent sessions order them, and rows of `FEATURES` of the first of them."""

    found: list[Scored]
    rows: Rows
    network: Floats | None
    """What the model scores those with rows; None: it has learnt nothing of the session."""


def describe_candidates(asked: Asked, model: SessionModel) -> Ranked | None:
    """`asked.n` candidates or more, if there are as many, the first `MOST_RANKED` with rows; None: none."""
    parts = _take_apart(asked, DEFAULT)
    found = [] if parts is None else _score(asked, parts, max(asked.n, CANDIDATES))
    if parts is None or not found:
        return None
    first = found[:MOST_RANKED]
    network = model.scores(session_of(prefix_of(asked.request)), [product_id for product_id, _ in first])
    return Ranked(found, describe(_situation_of(asked, parts), first, network), network)


def _find(asked: Asked) -> Iterable[Candidate]:
    """By the recent sessions, and by the model where there is one.

    It was trained for what comes next, whatever the action: not for other weights of them.
    """
    model = asked.model
    if model is None or asked.request.weights != EQUAL_WEIGHTS:
        return find_next(asked, DEFAULT)
    if model.ranker is not None:
        ranked = describe_candidates(asked, model)
        return [] if ranked is None else reorder(ranked.found, model.ranker.scores(ranked.rows))
    found = list(find_next(replace(asked, n=max(asked.n, CANDIDATES)), DEFAULT))
    if not found:
        return found
    names = [product_id for product_id, _ in found]
    scores = model.scores(session_of(prefix_of(asked.request)), names)
    return found if scores is None else blend(found, scores)


def _situation_of(asked: Asked, parts: Parts) -> Situation:
    """What candidates are described by."""
    request = asked.request
    steps = prefix_of(request)
    (latest, _), *_ = parts.prefix
    gone_on_to = asked.index.next_products(
        [(latest, 0.0)],  # without a weight in similarities no session votes: only transitions are left
        parts.scoring,
        limit=MOST_RANKED,
        now_ms=request.now_ms,
        skip_visitor=request.visitor_id,
    )
    return Situation(
        asked.index,
        asked.catalogue,
        request.now_ms,
        request.visitor_id,
        steps,
        session_of(steps),
        list(parts.own),
        parts.again,
        parts.shares,
        gone_on_to,
    )


def _explain(asked: Asked, chosen: Sequence[str]) -> Sequence[Reason]:
    """Of several reasons the one that most visitors would call the reason."""
    request = asked.request
    own, cart = latest_products(prefix_of(request), DEFAULT.most), frozenset(request.cart)
    anchors = list(islice(own, 3))
    visits = asked.index.visits_together(chosen, anchors, skip_visitor=request.visitor_id)
    reasons = []
    for product_id, counts in zip(chosen, zip(*visits, strict=True), strict=True):
        if product_id in cart:
            reason = _IN_CART
        elif product_id in own:
            reason = _SEEN
        elif most := max(counts):
            reason = Reason("viewed_together", {"product": anchors[counts.index(most)], "visits": most})
        else:
            reason = _same_category(asked, anchors, product_id)
        reasons.append(reason)
    return reasons


def _same_category(asked: Asked, anchors: Sequence[str], product_id: str) -> Reason:
    facts_of = asked.catalogue.facts_of
    categories = facts_of(product_id).categories
    for anchor in anchors:
        for category in facts_of(anchor).categories:
            if category in categories:
                return Reason("same_category", {"category": category, "product": anchor})
    return _LIKE_VISITS


FOR_YOU = Source("for_you", _find, _explain, is_ordered=True)
