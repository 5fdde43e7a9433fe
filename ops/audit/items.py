"""What was done of products, categories and the shop: counted from what was sent, and as partitions say."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl
from redis import Redis

from contracts.keys import Keys
from ops.audit.expected import distinct_events

_STAGES = {"view": 0, "favorite": 0, "cart": 1, "purchase": 2}
ItemView = tuple[int, int, int]
"""Views and favourites, adds to a cart, purchases."""


def expected_items(events: pl.DataFrame) -> dict[str, ItemView]:
    """Counts by the names under which they are kept, of events (`ops.audit.expected.NAMED_COLUMNS`)."""
    counts: Counter[tuple[str, int]] = Counter()
    wanted = ("event_type", "product_id", "category")
    grouped = distinct_events(events).group_by(wanted).len()
    for kind, product, category, n in grouped.iter_rows():
        if kind in _STAGES:
            names = ["s", *([f"p{product}"] if product else []), *([f"c{category}"] if category else [])]
            for name in names:
                counts[name, _STAGES[kind]] += n
    return {name: _view([counts[name, stage] for stage in range(3)]) for name, _ in counts}


def read_items(redis: Redis, keys: Keys) -> dict[str, ItemView]:
    """All partitions together; `redis` must not decode answers."""
    sums: dict[str, list[int]] = {}
    for p in range(keys.partitions):
        fields: dict[bytes, bytes] | Any = redis.hgetall(keys.item_counts(p))
        for name, text in fields.items():
            known = sums.setdefault(name.decode(), [0, 0, 0])
            for stage, number in enumerate(text.split()[:3]):
                known[stage] += int(number)
    return {name: _view(numbers) for name, numbers in sums.items()}


def item_differences(expected: Mapping[str, ItemView], found: Mapping[str, ItemView]) -> list[str]:
    """Where they differ, in words."""
    names = sorted({name for name, view in (*expected.items(), *found.items()) if any(view)})
    return [
        f"item {name}: {expected.get(name)} expected, {found.get(name)} found"
        for name in names
        if expected.get(name) != found.get(name)
    ]


def _view(numbers: list[int]) -> ItemView:
    views, carts, purchases = numbers
    return views, carts, purchases
