"""Losses of a session network, and how negatives are drawn."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

Ints = npt.NDArray[np.int64]
_NEVER = -1e9
_TEMPERATURE = 0.1
"""Of the uniformity loss: only item vectors that are near each other push each other away."""


class Negatives:
    """Items drawn by their count to a power; `log_expected` (items,) is how often one is among those drawn.

    Its logarithm, that is, in `number` draws with repetition. An item without a count is never drawn.
    """

    def __init__(self, counts: Ints, power: float, number: int) -> None:
        chances = np.where(counts > 0, counts.astype(np.float64) ** power, 0.0)
        chances /= chances.sum()
        self._below = np.cumsum(chances)
        self._number = number
        expected = np.maximum(chances * number, 1e-12)
        self.log_expected = torch.from_numpy(np.log(expected).astype(np.float32))

    def draw(self, rng: np.random.Generator) -> Ints:
        """Item codes (number,); one may be drawn more than once."""
        drawn = np.searchsorted(self._below, rng.random(self._number) * self._below[-1], side="right")
        return np.asarray(drawn, dtype=np.int64)


def sampled_losses(
    queries: Tensor, right: Tensor, wrong: Tensor, targets: Ints, drawn: Ints, log_expected: Tensor
) -> Tensor:
    """Log loss (batch,) of each target among the items that were drawn for the batch.

    `queries` and the vectors of the targets `right` are (batch, width), those of the drawn items `wrong`
    (drawn, width); their products are logits, and are corrected by `log_expected` (items,). A target is not
    among its own negatives.
    """
    own = (queries * right).sum(dim=1) - log_expected[torch.from_numpy(targets)].clamp(max=0.0)
    others = torch.addmm(-log_expected[torch.from_numpy(drawn)], queries, wrong.T)  # (batch, drawn)
    # By index: a mask of all pairs costs as much as the softmax.
    others[np.nonzero(targets[:, None] == drawn[None, :])] = _NEVER
    return torch.logaddexp(own, torch.logsumexp(others, dim=1)) - own


def full_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Log loss (batch,) among all items."""
    return cross_entropy(logits, targets, reduction="none")


def uniformity_loss(vectors: Tensor, others: Tensor, codes: Tensor, other_codes: Tensor) -> Tensor:
    """How near item vectors are to other items': the logarithm of a mean over pairs, averaged over items.

    Vectors of unit length (items, width) and (others, width) with their codes. The item contrastive part of
    self-contrastive learning (Shi et al., "Self Contrastive Learning for Session-based Recommendation",
    ECIR 2024): without positive pairs it is a uniformity loss.
    """
    nearness = vectors @ others.T / _TEMPERATURE
    nearness = nearness.masked_fill(codes[:, None] == other_codes[None, :], _NEVER)
    return torch.logsumexp(nearness, dim=1).mean() - float(np.log(len(others)))
