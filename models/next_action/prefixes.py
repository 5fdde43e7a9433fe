"""From events to cases, through the same fold as live visitors."""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from contracts.carts import PURCHASE
from contracts.events import Event, EventType, Statement
from contracts.visitor import Action, digest_of
from models.next_action.actions import LEAVE_TARGET, TARGET_OF_RANK
from models.next_action.cases import HOLE_MS, Bools, Floats, Ints, take_off
from models.next_action.cases import PrefixSet as PrefixSet
from models.next_action.cases import concatenate as concatenate
from models.next_action.encoding import CONTEXT_FEATURES, MAX_STEPS, STEP_FEATURES, Encoding
from models.next_action.features import CONTEXT_LEVELS
from models.next_action.fold import hash_names
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from models.next_action.rates import rates_by_action

_AS_IT_IS = PriceLevel(0.0, 1.0)
"""Prices stay logarithms; the level of the moment is taken off all rows of a case at once."""
_CONTEXT_COLUMNS = [(CONTEXT_FEATURES.index(a), CONTEXT_FEATURES.index(b)) for a, b in CONTEXT_LEVELS.items()]


def prefixes_of(events: Iterable[Event], *, idle_ms: int) -> PrefixSet:
    """All prefixes of all sessions, visitor by visitor.

    An event whose id the same visitor had before is a repeat and left out. Events may come in any order.
    """
    return prefixes_of_visitors(actions_by_visitor(events).values(), idle_ms=idle_ms)


def prefixes_of_visitors(by_visitor: Collection[Sequence[Action]], *, idle_ms: int) -> PrefixSet:
    """The same for the sorted actions of each visitor, in the order of the visitors."""
    rows = _Rows()
    for own in by_visitor:
        rows.add(own, idle_ms)
    actions = [action for own in by_visitor for action in own]
    level = _levels(actions)
    context = np.frombuffer(rows.context, dtype=np.float32).reshape(-1, len(CONTEXT_FEATURES))
    take_off(context, level, _CONTEXT_COLUMNS)
    at_ms = np.array([action.at_ms for action in actions], dtype=np.int64)
    rank = np.array([action.rank for action in actions], dtype=np.int64)
    session = np.cumsum(np.frombuffer(rows.opens, dtype=np.int8), dtype=np.int64) - 1
    row = np.arange(len(actions))
    first = np.searchsorted(session, session, side="left")
    last = np.searchsorted(session, session, side="right") - 1
    buys = _next_index(rank == PURCHASE)
    following = np.array(TARGET_OF_RANK)[rank[np.minimum(row + 1, last)]]
    return PrefixSet(
        steps=np.frombuffer(rows.steps, dtype=np.float32).reshape(-1, len(STEP_FEATURES)),
        ids=np.frombuffer(rows.ids, dtype=np.int64).reshape(-1, 3),
        first_row=np.maximum(first, row - MAX_STEPS + 1),
        last_row=row,
        context=context,
        rates=rates_by_action(by_visitor),
        level=level,
        target=np.where(row == last, LEAVE_TARGET, following),
        will_buy=buys <= last,
        session=session,
        start_ms=at_ms[first],
        end_ms=at_ms[last],
        at_ms=at_ms,
        watched_ms=_watched_until(at_ms[last], at_ms),
        length=row - first + 1,
        idle_ms=idle_ms,
    )


def _next_index(marked: Bools) -> Ints:
    """For every place the first marked one after it; the length if there is none."""
    size = len(marked)
    places = np.append(np.where(marked, np.arange(size), size), size)
    return np.asarray(np.minimum.accumulate(places[::-1])[::-1][1:])


def _watched_until(ends_ms: Ints, at_ms: Ints) -> Ints:
    """Until when the data go on after each of these times: the last event of all, or before a hole."""
    ordered = np.sort(at_ms)
    borders = np.append(ordered[:-1][np.diff(ordered) > HOLE_MS], ordered[-1:])
    return np.asarray(borders[np.searchsorted(borders, ends_ms)])


class _Rows:
    """What the fold gives, joined as plain numbers."""

    def __init__(self) -> None:
        self.steps = array("f")
        self.context = array("f")
        self.ids = array("q")
        self.opens = array("b")

    def add(self, actions: Sequence[Action], idle_ms: int) -> None:
        """The actions of one visitor, sorted."""
        encoding = Encoding(idle_ms=idle_ms, level=_AS_IT_IS)
        number = 0
        for action in actions:
            encoding.push(action)
            self.steps.extend(encoding.rows[-1])
            self.context.extend(encoding.context())
            self.ids.extend(hash_names(action))
            self.opens.append(encoding.number != number)
            number = encoding.number


def actions_by_visitor(events: Iterable[Event]) -> dict[str, list[Action]]:
    """The actions of every visitor, sorted, each event id once; refunds and statements are none."""
    grouped: dict[str, dict[bytes, Action]] = defaultdict(dict)
    for event in events:
        if event.event_type is EventType.REFUND or isinstance(event.event_type, Statement):
            continue
        digest = digest_of(event.event_id)
        action = Action(
            event.event_time_ms,
            event.event_type.rank,
            digest,
            event.product_id,
            event.quantity,
            event.price_minor,
            event.currency,
            event.category,
            event.brand,
            event.session_id,
        )
        grouped[event.user_id].setdefault(digest, action)
    return {user_id: sorted(own.values()) for user_id, own in grouped.items()}


def _levels(actions: Sequence[Action]) -> Floats:
    """The price level before each action, of all that happened in the shop until then; NaN: unknown."""
    levels = np.full(len(actions), np.nan, dtype=np.float32)
    level = UNKNOWN_LEVEL
    for index in sorted(range(len(actions)), key=lambda index: actions[index][:3]):
        if level.weight:
            levels[index] = level.mean_log
        if actions[index].product_id:  # an order without lines has its whole amount for a price
            level = level.after(actions[index].price_minor)
    return levels
