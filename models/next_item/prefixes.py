"""Prefixes of many sessions as flat arrays, so that one matrix product answers all of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from models.next_item.sessions import UNKNOWN, Codes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Steps(NamedTuple):
    """The known items of `n` prefixes."""

    n: int
    row: Ints
    """Of which prefix, ascending."""
    item: Codes
    back: Ints
    """How many items came after it in its prefix; 0: the latest."""

    def latest(self) -> "Steps":
        """The latest known item of each prefix."""
        return self._of(np.append(self.row[1:] != self.row[:-1], True)[: len(self.row)])

    def distinct(self) -> "Steps":
        """Each item of a prefix once, where it was last."""
        width = int(self.item.max(initial=0)) + 1
        _, place = np.unique((self.row * width + self.item)[::-1], return_index=True)
        return self._of(np.sort(len(self.row) - 1 - place))

    def as_rows(self, weight: npt.NDArray[np.floating], n_items: int) -> sp.csr_array:
        """(n, n_items): the weights of the steps; those of an item that repeats are added up."""
        ends = np.searchsorted(self.row, np.arange(self.n + 1))
        return sp.csr_array((weight.astype(np.float32), self.item, ends), shape=(self.n, n_items))

    def _of(self, places: npt.NDArray[np.bool_] | Ints) -> "Steps":
        return Steps(self.n, self.row[places], self.item[places], self.back[places])


def flatten(prefixes: Sequence[Codes]) -> Steps:
    """All steps of prefixes whose item is known."""
    lengths = np.array([len(prefix) for prefix in prefixes], dtype=np.int64)
    ends = np.cumsum(lengths)
    row = np.repeat(np.arange(len(prefixes)), lengths)
    item = np.concatenate(prefixes) if len(prefixes) else np.empty(0, dtype=np.int32)
    back = ends[row] - 1 - np.arange(len(row))
    known = item != UNKNOWN
    return Steps(len(prefixes), row[known], item[known], back[known])
