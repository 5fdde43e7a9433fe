"""What is kept of an item's counts, and its text."""

from typing import NamedTuple

from models.next_action.rates import Funnel


class ItemCounts(NamedTuple):
    """What was done of an item, and the day (of event time, since 1970) on which something last was."""

    funnel: Funnel
    day: int


def pack_counts(counts: ItemCounts) -> str:
    """The counts as a field of a hash."""
    (views, carts, purchases), day = counts
    return f"{views} {carts} {purchases} {day}"


def read_counts(text: str) -> ItemCounts:
    """What `pack_counts` was given; raises `ValueError`."""
    try:
        views, carts, purchases, day = map(int, text.split(" "))
    except ValueError:
        raise ValueError("expected four integers of an item") from None
    if min(views, carts, purchases, day) < 0:
        raise ValueError("a count of an item is negative")
    return ItemCounts(Funnel(views, carts, purchases), day)
