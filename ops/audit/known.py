"""What can have been known of a visitor when a score was made: events of different topics cross."""

from collections.abc import Iterator, Sequence
from itertools import compress, pairwise, product

from ops.audit.abandoned import CROSSING_MS, TOPICS, SentEvent
from ops.audit.compare import CartView
from ops.audit.expected import PURCHASE, fill_cart

MOST_UNSURE = 4
"""Events of which any may be missing; with more of them there are too many states."""

State = tuple[SentEvent, ...]
"""Events of one visitor in order, those known at one time."""


def states_at(sent_events: Sequence[SentEvent], at_ms: int) -> list[State] | None:
    """Every state whose newest sent event is at `at_ms`, the fullest first; None if there are too many.

    Of earlier ones those are surely known that arrived before in the same topic, or in another one before
    this one happened: topics are merged by event time.
    """
    before = [sent_event for sent_event in sent_events if sent_event.at_ms <= at_ms]
    states: dict[State, None] = {}
    for newest in before:
        if newest.at_ms == at_ms:
            unsure = [
                sent_event is not newest and not _comes_before(sent_event, newest) for sent_event in before
            ]
            if sum(unsure) > MOST_UNSURE:
                return None
            states.update(dict.fromkeys(_subsets(before, unsure)))
    return sorted(states, key=len, reverse=True)


def _comes_before(sent_event: SentEvent, newest: SentEvent) -> bool:
    if TOPICS[sent_event.rank] == TOPICS[newest.rank]:
        return sent_event.arrived_ms < newest.arrived_ms
    return sent_event.arrived_ms + CROSSING_MS < newest.at_ms


def _subsets(sent_events: Sequence[SentEvent], unsure: Sequence[bool]) -> Iterator[State]:
    """The sent events without any of those that are unsure."""
    for kept in product(*[(True, False) if is_unsure else (True,) for is_unsure in unsure]):
        yield tuple(compress(sent_events, kept))


def session_of(state: Sequence[SentEvent], idle_ms: int) -> Sequence[SentEvent]:
    """The sent events of the last session."""
    first = len(state) - 1
    while first > 0 and state[first].at_ms - state[first - 1].at_ms <= idle_ms:
        first -= 1
    return state[first:]


def count_sessions(state: Sequence[SentEvent], idle_ms: int) -> int:
    """How many sessions the sent events make."""
    return 1 + sum(b.at_ms - a.at_ms > idle_ms for a, b in pairwise(state))


def cart_of(state: Sequence[SentEvent]) -> dict[str, CartView]:
    """The cart after the sent events."""
    cart: dict[str, CartView] = {}
    for sent_event in state:
        fill_cart(cart, (*sent_event[:7], None))
    return cart


def has_bought(session: Sequence[SentEvent]) -> bool:
    """Whether a purchase is among the sent events."""
    return any(sent_event.rank == PURCHASE for sent_event in session)
