"""Baskets written by hand."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.next_basket.baskets import Baskets, make_baskets

SHOP = {1: [[0, 1], [0, 2], [0]], 2: [[1], [1]], 3: [[3, 1], [3]]}
"""Baskets with item 0: three, 1: four, 2: one, 3: two, 4: none."""
N_ITEMS = 5


def baskets_of(
    users: Mapping[int, Sequence[Sequence[int]]],
    n_items: int = N_ITEMS,
    days: Mapping[int, Sequence[float]] | None = None,
) -> Baskets:
    """The baskets of each user, oldest first, with the days on which they were bought if given."""
    lines = [
        (user, number, item, days[user][number] if days else 0.0)
        for user, baskets in users.items()
        for number, basket in enumerate(baskets)
        for item in basket
    ]
    user, number, item, day = (np.array(column) for column in zip(*lines, strict=True))
    return make_baskets(user, number, item.astype(np.int32), n_items, day if days else None)
