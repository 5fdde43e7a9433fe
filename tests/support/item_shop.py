"""A shop in which nobody looks at a product twice in a row, and most go on to the same next one."""

import random
from collections.abc import Iterator

from contracts.events import Event, EventType

PRODUCTS = 40
STRIDE = 7
"""From a product to that which mostly comes after it."""
STEP_MS = 200


def session(draw: random.Random, visitor: str, start_ms: int) -> Iterator[Event]:
    """What a visitor looks at, from three to six products."""
    place = draw.randrange(PRODUCTS)
    for n in range(draw.randint(3, 6)):
        at_ms = start_ms + STEP_MS * n
        yield Event(f"{visitor}-{n}", EventType.VIEW, at_ms, visitor, f"p{place}")
        place = (place + (STRIDE if draw.random() < 0.85 else draw.randrange(1, PRODUCTS))) % PRODUCTS


def sessions(n: int, *, start_ms: int, every_ms: int, name: str = "v", seed: int = 3) -> list[Event]:
    """Of so many visitors, one after the other, in order of time."""
    draw = random.Random(seed)
    events = [
        event
        for number in range(n)
        for event in session(draw, f"{name}{number}", start_ms + number * every_ms)
    ]
    return sorted(events, key=lambda event: event.event_time_ms)
