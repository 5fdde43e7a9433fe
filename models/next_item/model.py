"""What is compared: anything that learns from sessions and scores items for prefixes of sessions."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.next_item.sessions import Codes, Sessions

Scores = npt.NDArray[np.float32]


class NextItemModel(Protocol):
    """A model of the next item."""

    name: str

    def fit(self, sessions: Sessions) -> None:
        """Learn from scratch."""
        ...

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        """(n, n_items): how likely each item is next, higher is better; -inf: never.

        `prefixes` are the items of sessions so far, the latest last, at least one each. Nothing is learnt.
        """
        ...


class LearningModel(NextItemModel, Protocol):
    """A model that also learns one session at a time."""

    def learn(self, session: Codes) -> None:
        """Take in one finished session; items that `fit` did not know are left out."""
        ...
