"""Sessions of items from a shop's events, by the idle gap, as the stream cuts them."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from contracts.events import Event, EventType
from contracts.visitor import ACTION_TYPES, Action
from models.next_action.prefixes import actions_by_visitor
from models.next_item.sessions import ACTIONS, Sessions

_PLACES: tuple[int | None, ...] = tuple(
    ACTIONS.index("view" if kind is EventType.FAVORITE else kind.value)
    if kind is not EventType.REMOVE_FROM_CART
    else None
    for kind in ACTION_TYPES
)
"""Index = `Action.rank`, value = place in `ACTIONS`. A favourite counts as a view, a removal as nothing."""


def sessions_of_events(events: Iterable[Event], *, idle_ms: int) -> Sessions:
    """The sessions of `sessions_and_products`."""
    return sessions_and_products(events, idle_ms=idle_ms)[0]


def sessions_and_products(events: Iterable[Event], *, idle_ms: int) -> tuple[Sessions, list[str]]:
    """What visitors did with products, cut at pauses longer than `idle_ms`, and the ids of products by code.

    Sessions are in order of their starts.

    Removals from carts and orders without products keep a session going and are not part of it.
    """
    return sessions_of_visitors(actions_by_visitor(events), idle_ms=idle_ms)


def sessions_of_visitors(
    by_visitor: Mapping[str, Sequence[Action]], *, idle_ms: int
) -> tuple[Sessions, list[str]]:
    """The same of the sorted actions of each visitor."""
    sessions: list[tuple[int, str, list[Action]]] = []
    for visitor, actions in by_visitor.items():
        sessions += [(one[0].at_ms, visitor, one) for one in _cut(actions, idle_ms)]
    sessions.sort(key=lambda one: one[:2])
    kept = [[action for action in own if _is_kept(action)] for _, _, own in sessions]
    flat = [action for own in kept for action in own]
    codes: dict[str, int] = {}
    found = Sessions(
        items=np.array([codes.setdefault(action.product_id, len(codes)) for action in flat], dtype=np.int32),
        starts=np.cumsum([0, *(len(own) for own in kept if own)], dtype=np.int64),
        n_items=len(codes),
        actions=np.array([_PLACES[action.rank] for action in flat], dtype=np.int8),
        at_ms=np.array([action.at_ms for action in flat], dtype=np.int64),
    )
    return found, list(codes)


def _cut(actions: Sequence[Action], idle_ms: int) -> list[list[Action]]:
    parts: list[list[Action]] = []
    for action in actions:
        if not parts or action.at_ms - parts[-1][-1].at_ms > idle_ms:
            parts.append([])
        parts[-1].append(action)
    return parts


def _is_kept(action: Action) -> bool:
    return bool(action.product_id) and _PLACES[action.rank] is not None
