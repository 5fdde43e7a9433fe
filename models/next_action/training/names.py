"""Products, categories and brands as a network reads them: a small vector for each that enough sessions met.

Names are hashed into buckets. Buckets that few sessions met share the row of what has no name, so that a name
never seen in training is treated as the many rare ones were, and the tables grow with what there is to learn.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.next_action.cases import PrefixSet
from models.next_action.features import ID_FEATURES
from models.next_action.training.net_config import NetConfig

Ints = npt.NDArray[np.int64]

_PRIME = 2_147_483_647
"""Modulus of the random hash that chooses what to drop; above any number of rows."""


def assign_rows(ids: Ints, session: Ints, buckets: int, least_sessions: int) -> Ints:
    """The row of every bucket in the table of its kind, (kinds, buckets).

    1, 2, ... for the buckets that at least `least_sessions` sessions met, 0 for all others and for bucket 0.
    `ids` (n, kinds) are the hashed names of training events, `session` (n,) their sessions.
    """
    rows = np.zeros((len(ID_FEATURES), buckets), dtype=np.int64)
    for kind, own in enumerate(rows):
        met = np.unique(np.stack([ids[:, kind] % buckets, session], axis=1), axis=0)[:, 0]
        common = np.flatnonzero(np.bincount(met, minlength=buckets) >= least_sessions)
        common = common[common > 0]
        own[common] = np.arange(1, len(common) + 1)
    return rows


def measure_names(train: PrefixSet, config: NetConfig) -> Ints | None:
    """The rows of `assign_rows` for training cases; None for a network that reads no names."""
    if not config.buckets:
        return None
    return assign_rows(train.ids[train.last_row], train.session, config.buckets, config.least_sessions)


class NameTables(nn.Module):
    """One table of vectors per kind of name; `size` numbers per step come out."""

    rows: Tensor

    def __init__(self, config: NetConfig, rows: Ints | None) -> None:
        super().__init__()
        if rows is None:
            rows = np.zeros((len(ID_FEATURES), config.buckets), dtype=np.int64)
        self.register_buffer("rows", torch.from_numpy(rows.astype(np.int32)))
        self.dropout = config.name_dropout
        self.size = len(ID_FEATURES) * config.embedding
        self.tables = nn.ModuleList(nn.Embedding(int(own.max()) + 1, config.embedding) for own in rows)
        for table in self.tables:
            nn.init.zeros_(table.weight)  # type: ignore[arg-type]  # an embedding's weight is a tensor

    def forward(self, steps: Tensor, ids: Tensor | None) -> Tensor:
        """Vectors (batch, time, size) of hashed names (batch, time, kinds), or of no names beside `steps`."""
        if ids is None:
            ids = torch.zeros((*steps.shape[:2], len(self.tables)), dtype=torch.int64)
        buckets = ids % self.rows.shape[1]
        found = []
        for kind, table in enumerate(self.tables):
            rows = self.rows[kind][buckets[:, :, kind]]
            found.append(table(self._drop(rows) if self.training else rows))
        return torch.cat(found, dim=2)

    def _drop(self, rows: Tensor) -> Tensor:
        """In training names become none at random, one name in all steps of a case or in none of them."""
        if self.dropout == 0.0:
            return rows
        factor, shift = (torch.randint(1, _PRIME, (len(rows), 1)) for _ in range(2))
        kept = (rows * factor + shift) % _PRIME >= self.dropout * _PRIME
        return torch.where(kept, rows, 0)
