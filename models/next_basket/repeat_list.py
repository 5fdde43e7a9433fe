"""The list of repeats as a predictor among the others."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.next_basket.baskets import Baskets
from models.next_basket.frequency import days_before
from models.next_basket.model import Scores, Training
from models.next_basket.repeats import find_repeats


@dataclass(slots=True)
class RepeatList:
    """What `find_repeats` answers of each history alone; nothing else is predicted."""

    name: str = "repeats"

    def fit(self, training: Training) -> None:
        """A list of one's own repeats needs nothing of others."""

    def scores(self, histories: Baskets) -> Scores:
        """Scores of own items, -inf for items never bought."""
        scores = np.full((histories.n_users, histories.n_items), -np.inf, np.float32)
        items = [basket.tolist() for basket in np.split(histories.items, histories.starts[1:-1])]
        days = None if histories.at_days is None else days_before(histories).tolist()
        for row, (begin, end) in enumerate(pairwise(histories.user_starts.tolist())):
            named = [[str(item) for item in basket] for basket in items[begin:end][::-1]]
            found = find_repeats(named, None if days is None else days[begin:end][::-1])
            for place, repeat in enumerate(found):  # in order, so that ties are broken as in answers
                scores[row, int(repeat.product_id)] = -place
        return scores
