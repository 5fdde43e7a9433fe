"""The newest sessions of the shop by product: what all sources but the catalogue are computed from."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

MAX_PREFIX = 255
"""Products of a visitor that are looked at."""
MAX_ITEMS = 30
"""Products of one session that are kept, the newest, as in `contracts.sessions`."""

SHARE_HALF_LIFE_MS = 3 * 86_400_000.0
"""A session counts half after so long where products share in popularity."""
MOST_ANSWERS = 10_000
"""Answers about all sessions that are kept."""


class AnySession(Protocol):
    """What the index reads of a `contracts.sessions.StoredSession`."""

    @property
    def start_ms(self) -> int: ...
    @property
    def last_ms(self) -> int: ...
    @property
    def items(self) -> Sequence[str]:
        """Distinct products in the order of their last action, oldest first."""
        ...

    @property
    def actions(self) -> Sequence[int]:
        """A mask of actions for each of the items."""
        ...


class Scored(NamedTuple):
    """A product and how well it fits; higher is better."""

    product_id: str
    score: float


class Together(NamedTuple):
    """A product that was in `visits` sessions with another one; the score is the cosine of the two."""

    product_id: str
    score: float
    visits: int


class Popular(NamedTuple):
    """A product and its decayed score; `visits` are the sessions behind it."""

    product_id: str
    score: float
    visits: int


class Standing(NamedTuple):
    """How a product stands among the sessions, whatever the visitor does.

    `sessions` with it, `strong` ones in which it was put into the cart or bought, `recent` ones of the newest
    that were asked about, and how many sessions began `since` the newest with it.
    """

    sessions: int
    strong: int
    recent: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What counts how much for the next product. A scale of 0 or less: it does not count.

    Neighbours as VSTAN in `models.next_item.session_neighbours`, transitions as its sequential rules: Ludewig
    et al., Empirical analysis of session-based recommendation algorithms, UMUAI 2021.
    """

    k: int = 100
    """Neighbours that vote."""
    age_scale_ms: float = 0.0
    """A session counts exp(-age / scale)."""
    distance_scale: float = 5.0
    """A product of a neighbour counts exp(-places from the product shared last / scale)."""
    match_scale: float = 2.0
    """A neighbour votes with exp(-steps from the prefix's end to the product shared last / scale)."""
    idf_weight: float = 0.5
    """Votes for a product count 1 + weight x log(sessions / sessions with it)."""
    before_weight: float = 0.75
    """Products that a neighbour had before the one shared last count this much of those after it."""
    transition_weight: float = 0.25
    """How much the share of sessions that went on to a product counts beside the share of the votes."""
    transition_reach: int = 3
    """Steps after the latest product that are transitions; one `gap` steps away counts 1 / gap."""
    transition_sessions: int = 100
    """Sessions with the latest product, the newest, whose transitions count."""
    transition_shrink: float = 5.0
    """So many sessions with the latest product are assumed that went on to nothing known."""
    action_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """What a product counts by the most that was done with it: viewed, put into the cart, bought."""


class RecentSessions(Protocol):
    """The newest `max_sessions` sessions, and of each product the newest `sessions_per_item` with it.

    Sessions are put in order of time, about; one that is put again replaces what was put before it under its
    visitor and place. Visitors are named as the caller likes, the same in every call. There is a limit to
    the sessions, and so to everything else.
    """

    @property
    def n_sessions(self) -> int: ...
    @property
    def sessions_per_item(self) -> int: ...
    @property
    def n_items(self) -> int:
        """Products in any of the sessions."""
        ...

    @property
    def n_bytes(self) -> int:
        """Memory, about."""
        ...

    def __contains__(self, product_id: str) -> bool: ...

    def put(self, visitor: str, place: int, session: AnySession) -> None:
        """Keep a session as the one at this place (0 to 255) of the visitor; one without products goes."""
        ...

    def forget(self, visitor: str) -> None:
        """Remove all sessions of the visitor, and all that was derived from them."""
        ...

    def sessions_with(self, product_id: str) -> int:
        """Sessions with the product."""
        ...

    def standings(self, products: Sequence[str], newest: int) -> list[Standing]:
        """How each product stands; recent are the `newest` sessions, as far as there was room for them."""
        ...

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
        """The `limit` likeliest next products.

        `prefix`: distinct products, the latest first, each with its weight in similarities; at most
        `MAX_PREFIX` of them are looked at. `extra` is added to the scores of products, and so are `shares`:
        lists, each with a factor for its scores. Sessions of `skip_visitor` have no vote. The highest comes
        first, of equal ones that whose id is less.
        """
        ...

    def together(
        self,
        product_id: str,
        from_mask: int,
        to_mask: int,
        *,
        limit: int,
        skip_visitor: str | None = None,
    ) -> list[Together]:
        """Products with an action of `to_mask` in sessions that have one of `from_mask` with the product.

        Looks at the newest sessions that there is room for.
        """
        ...

    def visits_together(
        self, products: Sequence[str], others: Sequence[str], *, skip_visitor: str | None = None
    ) -> list[list[int]]:
        """For each of `others`, in how many of its newest sessions each of `products` was as well."""
        ...

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
        """The most popular products of the `newest` sessions; a session counts half after a half-life.

        `weights`: of a product that was viewed, put into the cart, bought, by the most that was done with it.
        An answer to the same question as of up to `old_ms` before is given again; a deletion voids it.
        """
        ...

    def popular_among(
        self, group: str, products: Iterable[str], *, limit: int, now_ms: int, old_ms: int = 0
    ) -> list[Scored]:
        """The most popular of some products, each with its share in the popularity of all of them.

        Sessions count half after `SHARE_HALF_LIFE_MS`. `group` names the products; an answer as of up to
        `old_ms` before is given again.
        """
        ...


class KeptAnswers:
    """Answers to questions about all sessions, with the time as of which they were given."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[int, list[Any]]] = {}

    def find(self, question: Hashable, now_ms: int, old_ms: int) -> list[Any] | None:
        """The answer, unless it is older than `old_ms` or newer than `now_ms`."""
        as_of_ms, answer = self._answers.get(question, (None, []))
        return answer if as_of_ms is not None and 0 <= now_ms - as_of_ms < old_ms else None

    def keep(self, question: Hashable, now_ms: int, answer: list[Any]) -> list[Any]:
        """The answer, which is kept."""
        if len(self._answers) >= MOST_ANSWERS:
            self._answers.clear()
        self._answers[question] = now_ms, answer
        return answer

    def clear(self) -> None:
        """Keeps none any more."""
        self._answers.clear()
