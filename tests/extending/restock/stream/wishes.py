"""A component that keeps a value of every visitor, under a key and with a lifetime of its own."""

from collections.abc import Sequence

import msgpack

from contracts.events import EventType
from contracts.subjects import SubjectKind
from restock.contracts import WISHES
from stream.batch.result import NO_CHANGE, Change
from stream.components.component import Applied, Component, SubjectValues
from stream.registry import Registry

Products = Sequence[str]
TTL_S = 30 * 86_400


class Wishes(Component[None, Products]):
    """Remembers the products that a visitor marked as favourites."""

    name = "wishes"
    values = SubjectValues(SubjectKind.VISITOR, WISHES, TTL_S, msgpack.packb, msgpack.unpackb)
    wants_events = True

    def subjects(self, applied: Applied[Products]) -> set[str]:
        """See `Component.subjects`."""
        return set(_marked(applied))

    def apply(self, state: None, applied: Applied[Products]) -> Change:
        """See `Component.apply`."""
        marked = _marked(applied)
        if not marked:
            return NO_CHANGE
        return Change(
            values={user: sorted({*(applied.values[user] or ()), *ids}) for user, ids in marked.items()}
        )


def _marked(applied: Applied[Products]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for user_id, _, events in applied.new_events:
        for event in events:
            if event.event_type is EventType.FAVORITE:
                found.setdefault(user_id, set()).add(event.product_id)
    return found


def register(registry: Registry) -> None:
    """Register it."""
    registry.add(Wishes())
