"""The networks that are compared: one trunk over the steps each, the same inputs and heads around it.

Every network reads the session so far (steps) and the visitor's aggregates (context). The context goes in
piecewise linear (Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", 2022):
each feature becomes one number per quantile bin of the training data, which lets a linear layer cut as a tree
does, and clips what lies outside of anything seen.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.next_action.training.names import NameTables
from models.next_action.training.net_config import NetConfig
from models.next_action.training.normalisation import Normalisation as Normalisation
from models.next_action.training.normalisation import fit_normalisation as fit_normalisation

N_ACTIONS = 5
N_OUTPUTS = N_ACTIONS + 1
CLIP = 5.0
"""Standardised step features stay within this: a live value far from training must not run away."""
KERNEL = 3


class ActionNet(nn.Module):
    """Logits of the next action (5) and of a purchase later in the session (1), before calibration.

    `forward` takes steps float32 (batch, time, features), left-aligned, lengths int64 (batch,) of at least 1
    and context float32 (batch, features), and returns (batch, 6). Values in the padding never matter. A
    network with buckets takes hashed names int64 (batch, time, kinds) as well; without them it knows none.
    `name_rows` are those of `assign_rows`; without them all names are one.
    """

    step_mean: Tensor
    step_scale: Tensor
    bin_feature: Tensor
    bin_low: Tensor
    bin_inverse: Tensor

    def __init__(
        self,
        config: NetConfig,
        normalisation: Normalisation,
        name_rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.normalisation = normalisation
        for name, values in normalisation._asdict().items():
            self.register_buffer(name, torch.from_numpy(values.copy()))
        n_steps, n_bins = len(normalisation.step_mean), len(normalisation.bin_low)
        self.n_context = int(normalisation.bin_feature.max()) + 1
        self.names = NameTables(config, name_rows) if config.buckets else None
        self.trunk = _make_trunk(n_steps + (self.names.size if self.names else 0), config)
        self.context = nn.Linear(n_bins, config.context_width)
        self.head = nn.Linear(self.trunk.size + config.context_width, config.head_width)
        self.out = nn.Linear(config.head_width, N_OUTPUTS)
        self.wide = nn.Linear(n_bins, N_OUTPUTS, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.zeros_(self.wide.weight)

    def forward(self, steps: Tensor, lengths: Tensor, context: Tensor, ids: Tensor | None = None) -> Tensor:
        """Logits, see the class."""
        inside = torch.arange(steps.shape[1])[None, :] < lengths[:, None]  # (batch, time)
        mask = inside.to(steps.dtype)
        rows = ((steps - self.step_mean) / self.step_scale).clamp(-CLIP, CLIP)
        if self.names is not None:
            rows = torch.cat([rows, self.names(steps, ids)], dim=2)
        rows = torch.where(inside[:, :, None], rows, 0.0)
        binned = (context[:, self.bin_feature] - self.bin_low) * self.bin_inverse
        binned = self._drop_features(binned.clamp(0.0, 1.0))
        side = torch.relu(self.context(binned))
        joined = torch.cat([self.trunk(rows, lengths, mask), side], dim=1)
        hidden = torch.relu(self.head(self.dropout(joined)))
        logits: Tensor = self.out(self.dropout(hidden)) + self.wide(binned)
        return logits

    def _drop_features(self, binned: Tensor) -> Tensor:
        """In training whole features fall out at random, so that none carries everything alone."""
        rate = self.config.feature_dropout
        if not self.training or rate == 0.0:
            return binned
        kept = (torch.rand(len(binned), self.n_context) >= rate).to(binned.dtype)
        return binned * kept[:, self.bin_feature]


class Recurrent(nn.Module):
    """LSTM or GRU from the first step to the last: last state and mean over the steps."""

    def __init__(self, n_features: int, config: NetConfig) -> None:
        super().__init__()
        cell = nn.LSTM if config.kind == "lstm" else nn.GRU
        self.forwards = cell(n_features, config.width, batch_first=True)
        self.size = 2 * config.width

    def forward(self, rows: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        states = self.forwards(rows)[0]  # (batch, time, width)
        return torch.cat([_at(states, lengths - 1), _mean(states, lengths, mask)], dim=1)


class BiGru(nn.Module):
    """One GRU from the first step to the last, one from the last step of the prefix to the first."""

    def __init__(self, n_features: int, config: NetConfig) -> None:
        super().__init__()
        self.forwards = nn.GRU(n_features, config.width, batch_first=True)
        self.backwards = nn.GRU(n_features, config.width, batch_first=True)
        self.size = 4 * config.width

    def forward(self, rows: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        # Reversed within each prefix, so the backward GRU starts at its last step and never meets padding.
        order = (lengths[:, None] - 1 - torch.arange(rows.shape[1])[None, :]).clamp(min=0)
        backwards = torch.gather(rows, 1, order[:, :, None].expand_as(rows))
        ahead, behind = self.forwards(rows)[0], self.backwards(backwards)[0]
        ends = [_at(ahead, lengths - 1), _at(behind, lengths - 1)]
        return torch.cat([*ends, _mean(ahead, lengths, mask), _mean(behind, lengths, mask)], dim=1)


class Cnn(nn.Module):
    """Two convolutions over neighbouring steps: last step, mean and maximum."""

    def __init__(self, n_features: int, config: NetConfig) -> None:
        super().__init__()
        self.first = nn.Conv1d(n_features, config.width, KERNEL, padding=KERNEL // 2)
        self.second = nn.Conv1d(config.width, config.width, KERNEL, padding=KERNEL // 2)
        self.size = 3 * config.width

    def forward(self, rows: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        states = _convolve(self.second, _convolve(self.first, rows, mask), mask)
        return torch.cat([_at(states, lengths - 1), _mean(states, lengths, mask), states.amax(dim=1)], dim=1)


class CnnBiGru(nn.Module):
    """A BiGRU and a convolution side by side over the same steps: what one smooths away the other sees.

    Measured on validation data: with the BiGRU reading the convolution instead, it is no better than alone.
    """

    def __init__(self, n_features: int, config: NetConfig) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(n_features, config.channels, KERNEL, padding=KERNEL // 2)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = BiGru(n_features, config)
        self.size = self.recurrent.size + 2 * config.channels

    def forward(self, rows: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        found = self.dropout(_convolve(self.convolution, rows, mask))
        ends = [_at(found, lengths - 1), _mean(found, lengths, mask)]
        return torch.cat([self.recurrent(rows, lengths, mask), *ends], dim=1)


def _make_trunk(n_features: int, config: NetConfig) -> Recurrent | BiGru | Cnn | CnnBiGru:
    if config.kind == "cnn_bigru":
        return CnnBiGru(n_features, config)
    if config.kind == "cnn":
        return Cnn(n_features, config)
    return BiGru(n_features, config) if config.kind == "bigru" else Recurrent(n_features, config)


def _convolve(layer: nn.Conv1d, rows: Tensor, mask: Tensor) -> Tensor:
    """ReLU of the convolution, zero in the padding (so that a maximum over time ignores it)."""
    found: Tensor = torch.relu(layer(rows.transpose(1, 2))).transpose(1, 2)
    return found * mask[:, :, None]


def _at(states: Tensor, index: Tensor) -> Tensor:
    # By index and `len` it would be shorter, but the exported model would take one size of batch only.
    return states.gather(1, index[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)


def _mean(states: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
    return (states * mask[:, :, None]).sum(dim=1) / lengths[:, None]


def count_parameters(net: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in net.parameters())


def fit_width(config: NetConfig, normalisation: Normalisation, budget: int) -> NetConfig:
    """The configuration with the widest trunk of its kind that keeps to a budget of parameters.

    Tables of names are not counted: they grow with the shop. Raises `ValueError` if not even a width of 8
    does.
    """
    for width in range(256, 7, -2):
        sized = replace(config, width=width)
        if count_parameters(ActionNet(sized, normalisation)) <= budget:
            return sized
    raise ValueError(f"no {config.kind} of width 8 or more has at most {budget} parameters")
