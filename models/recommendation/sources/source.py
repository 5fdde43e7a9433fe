"""The joint of sources."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.recommendation.answer import Reason
from models.recommendation.catalogue import CatalogueView
from models.recommendation.recent_sessions import RecentSessions, Scored
from models.recommendation.request import RecommendationRequest
from models.recommendation.session_model import SessionModel


@dataclass(frozen=True, slots=True)
class Asked:
    """What a source may look at. `n` candidates are wanted at least, as far as there are as many."""

    index: RecentSessions
    catalogue: CatalogueView
    request: RecommendationRequest
    n: int
    model: SessionModel | None = None
    """Of what comes next in a session, if one was trained."""


Candidate = Scored
"""A product that fits; the score is positive, higher is better, comparable within its source."""


class Source(NamedTuple):
    """`find` gives candidates, each once; `explain` a reason for each of those chosen.

    `is_ordered`: the highest candidate comes first, of equal ones that whose id is less; else in any order.
    A source keeps no rules but those that make it what it is: the caller does.
    """

    name: str
    find: Callable[[Asked], Iterable[Candidate]]
    explain: Callable[[Asked, Sequence[str]], Sequence[Reason]]
    is_ordered: bool = False
