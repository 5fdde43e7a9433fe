"""Session networks: one table of item vectors, and an encoder that makes one vector of a prefix.

Item vectors and what an encoder gives have unit length, so a score is a cosine: popular items do not win by
the length of their vectors (Gupta et al., "NISER", 2019).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention

from models.next_item.training.net_config import NetConfig

_SPREAD = 0.05
"""Standard deviation of a number of an item vector before training."""
_PLACE_SHARE = 0.1
"""How much the vector of a place counts beside that of an item, which has unit length."""


class SessionNet(nn.Module):
    """Item vectors (items, width), of any length until normalised, and the encoder."""

    def __init__(self, n_items: int, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.items = nn.Parameter(torch.randn(n_items, config.width) * _SPREAD)
        self.encoder = make_encoder(config)


class Encoder(nn.Module):
    """A vector of unit length (batch, width) from item vectors of unit length (batch, time, width).

    Items are left-aligned, oldest first; lengths int64 (batch,) are at least 1 and time at most the
    configuration's length. Values in the padding never matter.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.places = nn.Embedding(config.length, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """See the class."""
        raise NotImplementedError

    def read(self, vectors: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Items with dropout, vectors of places counted from the newest, and where there is an item.

        (batch, time, width) twice, both 0 in the padding, and bool (batch, time).
        """
        place = torch.arange(vectors.shape[1])[None, :]
        inside = place < lengths[:, None]
        back = (lengths[:, None] - 1 - place).clamp(min=0)
        items = torch.where(inside[:, :, None], self.dropout(vectors), 0.0)
        return items, torch.where(inside[:, :, None], self.places(back), 0.0), inside


class GruEncoder(Encoder):
    """A GRU over the prefix; its last state, the newest item, and items weighed by attention.

    Attention as in NARM (Li et al., CIKM 2017), but over the item vectors, not over states.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        width = config.width
        self.gru = nn.GRU(width, width, batch_first=True)
        self.attention = _Attention(width) if config.attention else None
        self.out = nn.Linear((3 if config.attention else 2) * width, width, bias=False)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        items, places, inside = self.read(vectors, lengths)
        steps = items + _PLACE_SHARE * places
        states = self.gru(steps)[0]
        last = _at(states, lengths - 1)
        parts = [last, _at(steps, lengths - 1)]
        if self.attention is not None:
            parts.append((self.attention(states, last, inside) * steps).sum(dim=1))
        return normalize(self.out(torch.cat(parts, dim=1)), dim=1)


class CoreEncoder(Encoder):
    """A weighted mean of the item vectors themselves, with a transformer for the weights.

    After CORE (Hou et al., SIGIR 2022): what comes out stays in the space of the items.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.weigh = nn.Linear(config.width, 1, bias=False)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        items, places, inside = self.read(vectors, lengths)
        rows = _to_unit_variance(items) + places
        for block in self.blocks:
            rows = block(rows, inside)
        return normalize((_softmax(self.weigh(rows), inside) * items).sum(dim=1), dim=1)


class SasRecEncoder(Encoder):
    """A transformer over the prefix; what it makes of the newest item (Kang & McAuley, ICDM 2018).

    Every prefix is a case of its own, so that attention needs no mask of what comes later.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        items, places, inside = self.read(vectors, lengths)
        rows = _to_unit_variance(items) + places
        for block in self.blocks:
            rows = block(rows, inside)
        newest: Tensor = self.norm(_at(rows, lengths - 1))
        return normalize(self.out(newest), dim=1)


def make_encoder(config: NetConfig) -> Encoder:
    """The encoder of a kind."""
    kinds: dict[str, type[Encoder]] = {"gru": GruEncoder, "core": CoreEncoder, "sasrec": SasRecEncoder}
    return kinds[config.kind](config)


class _Attention(nn.Module):
    """Shares (batch, time, 1) of the steps, from their states and the last one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_last = nn.Linear(width, width)
        self.of_each = nn.Linear(width, width, bias=False)
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, last: Tensor, inside: Tensor) -> Tensor:
        mixed = torch.sigmoid(self.of_last(last)[:, None, :] + self.of_each(states))
        return _softmax(self.weigh(mixed), inside)


class _Block(nn.Module):
    """Attention and a feed-forward layer, each normalised before and added to what it read."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inputs, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, rows: Tensor, inside: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (batch, heads, time, width / heads)
            for part in self.inputs(self.before(rows)).chunk(3, dim=2)
        )
        found = scaled_dot_product_attention(query, key, value, attn_mask=inside[:, None, None, :])
        rows = rows + self.dropout(self.output(found.transpose(1, 2).flatten(2)))
        added: Tensor = self.dropout(self.narrow(torch.relu(self.wide(self.between(rows)))))
        return rows + added


def _to_unit_variance(items: Tensor) -> Tensor:
    """Vectors of unit length, made as large as a layer norm makes them."""
    return items * math.sqrt(items.shape[2])


def _softmax(weights: Tensor, inside: Tensor) -> Tensor:
    """Shares over time, 0 in the padding."""
    return torch.softmax(weights.masked_fill(~inside[:, :, None], -1e9), dim=1)


def _at(states: Tensor, index: Tensor) -> Tensor:
    # By index and `len` it would be shorter, but the exported model would take one size of batch only.
    return states.gather(1, index[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)
