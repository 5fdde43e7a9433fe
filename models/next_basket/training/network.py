"""A recurrent network over baskets (as DREAM, Yu et al., SIGIR 2016): one score of every item."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.next_basket.baskets import Baskets, Ints
from models.next_basket.model import Scores, Training

_BATCH = 32
"""Users at once; each of their steps has a distribution over all items of the vocabulary."""
_LONGEST = 50
"""Newest baskets of a user that are read."""


class BasketNet(nn.Module):
    """A GRU over the mean vectors of baskets; items are scored by their vectors and a bias each."""

    def __init__(self, n_items: int, size: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.EmbeddingBag(n_items, size, mode="mean")
        self.gru = nn.GRU(size, size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(size, n_items)
        nn.init.normal_(self.items.weight, std=0.1)

    def forward(self, baskets: Tensor, starts: Tensor, steps: Tensor) -> Tensor:
        """States (users, time, size) after each of the baskets `steps` (users, time), -1 behind the end."""
        vectors = self.items(baskets, starts)
        padded = torch.cat([vectors, vectors.new_zeros(1, vectors.shape[1])])
        states, _ = self.gru(self.dropout(padded[steps]))
        return self.dropout(states)  # type: ignore[no-any-return]  # torch does not say what modules return


@dataclass(slots=True)
class BasketRnn:
    """Learns every next basket of the known histories; its scores are log probabilities.

    Items of fewer than `least_baskets` baskets are none of its vocabulary and get the lowest score of all.
    The same `seed` on the same data gives the same network on one machine.
    """

    size: int = 64
    epochs: int = 8
    learning_rate: float = 3e-3
    dropout: float = 0.2
    least_baskets: int = 5
    seed: int = 0
    name: str = "basket RNN"
    _net: BasketNet | None = None
    _codes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch, in nats per item."""

    def fit(self, training: Training) -> None:
        """Train on the known histories for all epochs; users are drawn anew in each."""
        known = training.known
        counts = np.bincount(known.items, minlength=known.n_items)
        self._codes = np.flatnonzero(counts >= min(self.least_baskets, int(counts.max())))
        torch.manual_seed(self.seed)
        random = np.random.default_rng(self.seed)
        net = BasketNet(len(self._codes), self.size, self.dropout)
        optimiser = torch.optim.AdamW(net.parameters(), lr=self.learning_rate, weight_decay=1e-5)
        steps = self.epochs * -(-known.n_users // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.learning_rate, total_steps=steps)
        histories, self.losses = _in_vocabulary(known, self._codes), []
        for _ in range(self.epochs):
            net.train()
            total, n = 0.0, 0
            for users in _parts(random.permutation(histories.n_users)):
                loss, items = _loss(net, histories.of_users(users))
                if items:
                    optimiser.zero_grad()
                    (loss / items).backward()  # type: ignore[no-untyped-call]  # untyped in torch
                    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                    optimiser.step()
                    total, n = total + loss.item(), n + items
                schedule.step()
            self.losses.append(total / max(1, n))
        self._net = net.eval()

    def scores(self, histories: Baskets) -> Scores:
        """Log probabilities of the next basket's items."""
        if self._net is None:
            raise ValueError("a network must be fitted before it is asked")
        with torch.no_grad():
            flat, steps = _inputs(_in_vocabulary(histories, self._codes))
            states = self._net(*flat, torch.from_numpy(steps))
            last = (steps >= 0).sum(axis=1) - 1
            logits = self._net.out(states[torch.arange(len(last)), torch.from_numpy(last)])
            known = torch.log_softmax(logits, dim=1).numpy()
        scores = np.empty((histories.n_users, histories.n_items), np.float32)
        scores[:] = known.min(axis=1, keepdims=True) - 1.0
        scores[:, self._codes] = known
        return scores


def _loss(net: BasketNet, histories: Baskets) -> tuple[Tensor, int]:
    """The summed loss of all items of all baskets but the first of each user, and how many they are."""
    flat, steps = _inputs(histories)
    states = net(*flat, torch.from_numpy(steps))
    has_next = np.zeros(steps.shape, bool)
    has_next[:, :-1] = (steps[:, :-1] >= 0) & (steps[:, 1:] >= 0)
    targets = steps[:, 1:][has_next[:, :-1]]
    sizes = histories.sizes()[targets]
    if not sizes.sum():
        return torch.zeros(()), 0
    row = np.repeat(np.arange(len(targets)), sizes)
    lines = np.concatenate([np.arange(histories.starts[b], histories.starts[b + 1]) for b in targets])
    logs = torch.log_softmax(net.out(states[torch.from_numpy(has_next)]), dim=1)
    chosen = logs[torch.from_numpy(row), torch.from_numpy(histories.items[lines].astype(np.int64))]
    return -chosen.sum(), len(lines)


def _inputs(histories: Baskets) -> tuple[tuple[Tensor, Tensor], Ints]:
    """Items and starts of all baskets, and which basket is each user's at each step; -1 behind the end."""
    counts = np.minimum(histories.counts(), _LONGEST)
    steps = np.full((histories.n_users, max(1, int(counts.max()))), -1)
    for row, (end, count) in enumerate(zip(histories.user_starts[1:], counts, strict=True)):
        steps[row, :count] = np.arange(end - count, end)
    flat = torch.from_numpy(histories.items.astype(np.int64)), torch.from_numpy(histories.starts[:-1])
    return flat, steps


def _in_vocabulary(histories: Baskets, codes: Ints) -> Baskets:
    """The same baskets with the codes of the vocabulary, without other items; a basket may become empty."""
    vocabulary = np.full(histories.n_items, -1, np.int32)
    vocabulary[codes] = np.arange(len(codes), dtype=np.int32)
    items = vocabulary[histories.items]
    kept = np.append(0, np.cumsum(items >= 0))
    return histories._replace(items=items[items >= 0], starts=kept[histories.starts], n_items=len(codes))


def _parts(users: npt.NDArray[np.int64]) -> Iterator[Ints]:
    for begin in range(0, len(users), _BATCH):
        yield users[begin : begin + _BATCH]
