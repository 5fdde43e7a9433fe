"""Fields of a visitor's state that the product itself does not know: each is registered with its update."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.events import Event
from contracts.visitor import NO_EXTRA, Visitor


class VisitorField(NamedTuple):
    """One more value in the state of every visitor.

    `update` gives the next value from the last one (None: there is none yet), the state before, and the new
    events in the order of the batch. Values are plain ones of MessagePack, None for nothing to keep.
    """

    name: str
    update: Callable[[Any, Visitor | None, Sequence[Event]], Any]


def update_fields(
    fields: Sequence[VisitorField], before: Visitor | None, events: Sequence[Event]
) -> Mapping[str, Any]:
    """The fields of a visitor after new events; those that nobody has registered are left as they are."""
    known = {} if before is None else before.extra
    values = dict(known)
    for name, update in fields:
        value = update(known.get(name), before, events)
        if value is None:
            values.pop(name, None)
        else:
            values[name] = value
    return values or NO_EXTRA
