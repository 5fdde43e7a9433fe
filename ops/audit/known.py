"""What can have been known of a visitor when a score was made: events of different topics cross."""

from collections.abc import Iterator, Sequence
from itertools import compress, pairwise, product

from ops.audit.abandoned import CROSSING_MS, TOPICS, Deed
from ops.audit.compare import CartView
from ops.audit.expected import PURCHASE, fill_cart

MOST_UNSURE = 4
"""Deeds of which any may be missing; with more of them there are too many states."""

State = tuple[Deed, ...]
"""Deeds of one visitor in order, those known at one time."""


def states_at(deeds: Sequence[Deed], at_ms: int) -> list[State] | None:
    """Every state whose newest deed is at `at_ms`, the fullest first; None if there are too many.

    Of earlier deeds those are surely known that arrived before in the same topic, or in another one before
    this deed happened: topics are merged by event time.
    """
    before = [deed for deed in deeds if deed.at_ms <= at_ms]
    states: dict[State, None] = {}
    for newest in before:
        if newest.at_ms == at_ms:
            unsure = [deed is not newest and not _comes_before(deed, newest) for deed in before]
            if sum(unsure) > MOST_UNSURE:
                return None
            states.update(dict.fromkeys(_subsets(before, unsure)))
    return sorted(states, key=len, reverse=True)


def _comes_before(deed: Deed, newest: Deed) -> bool:
    if TOPICS[deed.rank] == TOPICS[newest.rank]:
        return deed.arrived_ms < newest.arrived_ms
    return deed.arrived_ms + CROSSING_MS < newest.at_ms


def _subsets(deeds: Sequence[Deed], unsure: Sequence[bool]) -> Iterator[State]:
    """The deeds without any of those that are unsure."""
    for kept in product(*[(True, False) if is_unsure else (True,) for is_unsure in unsure]):
        yield tuple(compress(deeds, kept))


def session_of(state: Sequence[Deed], idle_ms: int) -> Sequence[Deed]:
    """The deeds of the last session."""
    first = len(state) - 1
    while first > 0 and state[first].at_ms - state[first - 1].at_ms <= idle_ms:
        first -= 1
    return state[first:]


def count_sessions(state: Sequence[Deed], idle_ms: int) -> int:
    """How many sessions the deeds make."""
    return 1 + sum(b.at_ms - a.at_ms > idle_ms for a, b in pairwise(state))


def cart_of(state: Sequence[Deed]) -> dict[str, CartView]:
    """The cart after the deeds."""
    cart: dict[str, CartView] = {}
    for deed in state:
        fill_cart(cart, (*deed[:7], None))
    return cart


def has_bought(session: Sequence[Deed]) -> bool:
    """Whether a purchase is among the deeds."""
    return any(deed.rank == PURCHASE for deed in session)
