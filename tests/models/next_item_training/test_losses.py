"""What training reads, and its losses."""

import numpy as np
import torch

from models.next_item.rows import rows_of
from models.next_item.sessions import UNKNOWN
from models.next_item.training.losses import Negatives, sampled_losses, uniformity_loss


def test_prefixes_are_read_without_unknown_items() -> None:
    rows, lengths = rows_of([np.array([4, UNKNOWN, 5, 6], np.int32), np.array([UNKNOWN], np.int32)], 2)
    assert rows.tolist() == [[5, 6], [0, 0]]
    assert lengths.tolist() == [2, 0]


def test_negatives_are_drawn_as_often_as_said() -> None:
    negatives = Negatives(np.array([0, 1, 4, 16]), 0.5, 70_000)
    drawn = np.bincount(negatives.draw(np.random.default_rng(1)), minlength=4)
    assert drawn[0] == 0
    np.testing.assert_allclose(drawn[1:], [10_000, 20_000, 40_000], rtol=0.05)
    expected = torch.tensor([10_000.0, 20_000.0, 40_000.0])
    torch.testing.assert_close(negatives.log_expected[1:].exp(), expected, rtol=1e-4, atol=0.0)


def test_corrected_losses_of_samples_are_those_of_all_items() -> None:
    """Each item drawn in proportion to its chance: the corrected sum is that over all items."""
    table = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2], [0.3, -1.0], [-0.5, 0.4], [2.0, 1.0]]))
    query = torch.tensor([[3.0, -1.0]])
    drawn, targets = np.array([0, 1, 2, 2, 3, 3, 3, 3]), np.array([0])
    expected = torch.log(torch.tensor([1.0, 1.0, 2.0, 4.0]))
    found = sampled_losses(query, table[targets], table[drawn], targets, drawn, expected)
    logits = query @ table.T
    torch.testing.assert_close(found, torch.logsumexp(logits, dim=1) - logits[:, 0])


def test_spread_vectors_have_a_smaller_uniformity_loss() -> None:
    codes, near = torch.arange(4), torch.nn.functional.normalize(torch.ones(4, 8), dim=1)
    spread = torch.eye(8)[:4]
    assert uniformity_loss(spread, spread, codes, codes) < uniformity_loss(near, near, codes, codes)
