"""A field of every visitor's state: the brands they have seen."""

from collections.abc import Sequence

from contracts.events import Event
from contracts.visitor import Visitor
from stream.registry import Registry
from stream.visitors.fields import VisitorField

MOST_BRANDS = 20


def add_brands(known: Sequence[str] | None, before: Visitor | None, events: Sequence[Event]) -> list[str]:
    """The brands after new events, those seen last at the end."""
    brands = dict.fromkeys(known or ())
    for event in events:
        if event.brand is not None:
            brands.pop(event.brand, None)
            brands[event.brand] = None
    return list(brands)[-MOST_BRANDS:]


BRANDS = VisitorField("brands", add_brands)


def register(registry: Registry) -> None:
    """Register it."""
    registry.add_visitor_field(BRANDS)
