"""What is kept of an item's counts, and its text."""

from typing import NamedTuple

from models.next_action.rates import Funnel


class ItemCounts(NamedTuple):
    """What was done of an item, as in a `Funnel`, and the day (since 1970) on which something last was."""

    views: int
    carts: int
    purchases: int
    day: int

    @property
    def funnel(self) -> Funnel:
        """Without the day."""
        return Funnel(self.views, self.carts, self.purchases)


def pack_counts(counts: ItemCounts) -> str:
    """The counts as a field of a hash."""
    views, carts, purchases, day = counts
    return f"{views} {carts} {purchases} {day}"


def read_counts(text: str) -> ItemCounts:
    """What `pack_counts` was given; raises `ValueError`."""
    try:
        counts = ItemCounts(*map(int, text.split(" ")))
    except (ValueError, TypeError):
        raise ValueError("expected four integers of an item") from None
    if min(counts) < 0:
        raise ValueError("a count of an item is negative")
    return counts
