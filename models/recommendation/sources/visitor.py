"""What comes next for a visitor: what sessions like theirs had, and what others went on to."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from models.recommendation.answer import Reason
from models.recommendation.recent_sessions import Scoring
from models.recommendation.request import Step
from models.recommendation.sources.source import Asked, Candidate, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorScoring:
    """How a visitor's own products count."""

    scoring: Scoring = field(default_factory=Scoring)
    most: int = 10
    """Products of the prefix that are looked at, the latest."""
    steps_scale: float = 8.0
    """A product counts exp(-steps from the end / scale) in similarities."""
    pause_scale_ms: float = 6 * 3_600_000.0
    """And exp(-its age / scale)."""
    repeat_weight: float = 0.2
    """What the visitor's latest product itself gets, beside the shares of the votes; earlier ones less."""
    repeat_scale: float = 4.0
    """An earlier one gets exp(-steps / scale) of it."""


DEFAULT = VisitorScoring()


def latest_products(prefix: Sequence[Step], most: int) -> list[tuple[Step, int]]:
    """The visitor's latest distinct products, the latest first, each as its last step with all its actions.

    The number beside is how many distinct products came after it.
    """
    found: dict[str, Step] = {}
    for step in reversed(prefix):
        known = found.get(step.product_id)
        if known is None:
            if len(found) == most:
                break
            found[step.product_id] = step
        else:
            found[step.product_id] = known._replace(mask=known.mask | step.mask)
    return [(step, back) for back, step in enumerate(found.values())]


def _find(asked: Asked) -> Iterable[Candidate]:
    config, request = DEFAULT, asked.request
    own = latest_products(request.prefix, config.most)
    if not own:
        return []
    prefix, extra = [], []
    for step, back in own:
        age_ms = max(0, request.now_ms - step.at_ms)
        weight = math.exp(-back / config.steps_scale - age_ms / config.pause_scale_ms)
        prefix.append((step.product_id, weight))
        extra.append((step.product_id, config.repeat_weight * math.exp(-back / config.repeat_scale)))
    scored = asked.index.next_products(
        prefix,
        config.scoring,
        limit=asked.n,
        now_ms=request.now_ms,
        extra=extra,
        skip_visitor=request.visitor_id,
    )
    return [Candidate(*one) for one in scored]


def _explain(asked: Asked, chosen: Sequence[str]) -> Sequence[Reason]:
    request = asked.request
    own = [step for step, _ in latest_products(request.prefix, DEFAULT.most)]
    looked_at = {step.product_id for step in own}
    anchors = [step.product_id for step in own[:3]]
    visits = asked.index.visits_together(chosen, anchors, skip_visitor=request.visitor_id)
    reasons = []
    for place, product_id in enumerate(chosen):
        if product_id in request.cart:
            reasons.append(Reason("in_cart"))
        elif product_id in looked_at:
            reasons.append(Reason("seen"))
        else:
            most, anchor = max(((row[place], -i) for i, row in enumerate(visits)), default=(0, 0))
            reasons.append(
                Reason("viewed_together", {"product": anchors[-anchor], "visits": most})
                if most
                else Reason("like_visits")
            )
    return reasons


FOR_YOU = Source("for_you", _find, _explain)
