"""What a network is made of, as `storepulse train` chooses it."""

from dataclasses import dataclass
from typing import Literal, get_args

NetKind = Literal["lstm", "gru", "bigru", "cnn", "cnn_bigru"]
NET_KINDS: tuple[NetKind, ...] = get_args(NetKind)
BLEND = "blend"
KINDS: tuple[str, ...] = (BLEND, *NET_KINDS)
"""What can be trained: the CNN-BiGRU blended with boosted trees, or a network alone."""
BUCKETS = 1 << 14
"""Buckets of names, where names are read: with 1,000 common products a new one falls among them in 6 %."""


@dataclass(frozen=True, slots=True)
class NetConfig:
    """Shape and regularisation of a network. `width` is the size of its trunk, per direction for a BiGRU.

    With `buckets` it reads hashed names too, as vectors of size `embedding` for those that at least
    `least_sessions` sessions of the training met; `name_dropout` of them are kept from it in training.
    """

    kind: NetKind = "cnn_bigru"
    width: int = 32
    channels: int = 32
    context_width: int = 48
    head_width: int = 48
    dropout: float = 0.2
    feature_dropout: float = 0.1
    bins: int = 8
    buckets: int = 0
    embedding: int = 4
    least_sessions: int = 10
    name_dropout: float = 0.5
