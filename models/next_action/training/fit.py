"""Fitting a network: AdamW, averaged weights, early stopping on validation, the best state kept."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from models.fitting import deterministic, shuffled_batches
from models.next_action.cases import PrefixSet
from models.next_action.encoding import Batch, Inputs
from models.next_action.training.calibration import Calibration, fit_calibration
from models.next_action.training.names import measure_names
from models.next_action.training.net_config import NetConfig
from models.next_action.training.nets import ActionNet, fit_width
from models.next_action.training.normalisation import measure_normalisation

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
BUDGET = 60_000
"""Parameters of every network that is compared: less than 250 kB."""
LARGE = 100_000
"""Cases to learn from, from which on training goes by larger batches."""


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How to fit. `average` is the weight that the averaged parameters keep at each step.

    `name_decay` is the weight decay of tables of names: vectors that few cases speak for stay near zero. With
    little of it a small shop's validation gets worse after few epochs.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    batch_size: int = 256
    most_epochs: int = 30
    patience: int = 4
    average: float = 0.998
    warm_up_steps: int = 100
    purchase_weight: float = 1.0
    name_decay: float = 10.0


def scaled(config: FitConfig, n_cases: int) -> FitConfig:
    """The configuration for so many cases: many go in larger batches, at a higher rate, in fewer epochs."""
    if n_cases < LARGE:
        return config
    return replace(
        config,
        batch_size=4 * config.batch_size,
        learning_rate=2 * config.learning_rate,
        most_epochs=math.ceil(config.most_epochs / 2),
    )


class Epoch(NamedTuple):
    """Validation after an epoch of training: mean log loss of the next action and of the purchase."""

    number: int
    train_loss: float
    action_loss: float
    purchase_loss: float

    @property
    def loss(self) -> float:
        """What early stopping looks at."""
        return self.action_loss + self.purchase_loss


@dataclass(slots=True)
class Fitted:
    """A fitted network in evaluation mode, its calibration, and how it came about."""

    net: ActionNet
    calibration: Calibration
    best: Epoch
    history: list[Epoch] = field(default_factory=list)


def fit_net(
    net_config: NetConfig,
    config: FitConfig,
    train: PrefixSet,
    valid: PrefixSet,
    *,
    seed: int,
    budget: int | None = BUDGET,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fitted:
    """A network made and fitted; the same arguments give the same weights on the same machine.

    With a `budget` of parameters its trunk is made as wide as that allows; `config` is `scaled`.
    """
    config = scaled(config, len(train))
    with deterministic(seed):
        normalisation = measure_normalisation(train, net_config.bins, seed)
        if budget is not None:
            net_config = fit_width(net_config, normalisation, budget)
        net = ActionNet(net_config, normalisation, measure_names(train, net_config))
        return fit(net, train, valid, config, seed, on_epoch)


def fit(
    net: ActionNet,
    train: PrefixSet,
    valid: PrefixSet,
    config: FitConfig,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fitted:
    """Train `net` in place until validation stops getting better; its best averaged state is what comes back.

    Call it, and make the net, within `deterministic(seed)` for a result that can be had again.
    """
    rng = np.random.default_rng(seed)
    averaged = copy.deepcopy(net).eval()
    optimizer = _optimizer(net, config)
    history: list[Epoch] = []
    lengths, bought = lengths_of(train), train.will_buy
    best, best_state, step = None, copy.deepcopy(averaged.state_dict()), 0
    most_steps = config.most_epochs * math.ceil(len(train) / config.batch_size)
    for number in range(1, config.most_epochs + 1):
        losses = []
        for indices in shuffled_batches(lengths, config.batch_size, rng):
            step += 1
            _set_rate(optimizer, config, step, most_steps)
            labels = train.target[indices], bought[indices]
            losses.append(_train_step(net, optimizer, inputs_of(net, train, indices), labels, config))
            _average(averaged, net, min(config.average, (1.0 + step) / (10.0 + step)))
        epoch = _validate(averaged, valid, number, float(np.mean(losses)))
        history.append(epoch)
        if on_epoch is not None:
            on_epoch(epoch)
        if best is None or epoch.loss < best.loss:
            best, best_state = epoch, copy.deepcopy(averaged.state_dict())
        elif number - best.number >= config.patience:
            break
    if best is None:
        raise ValueError(f"most_epochs must be at least 1, got {config.most_epochs}")
    net.load_state_dict(best_state)
    net.eval()
    calibration = fit_calibration(logits_of(net, valid), valid.target, valid.will_buy)
    return Fitted(net, calibration, best, history)


def logits_of(net: ActionNet, cases: PrefixSet, batch_size: int = 1_024) -> Floats:
    """Logits (n, 6) of all cases, in their order."""
    logits = np.empty((len(cases), 6), dtype=np.float32)
    order = np.argsort(lengths_of(cases), kind="stable")
    for at in range(0, len(order), batch_size):
        indices = order[at : at + batch_size]
        logits[indices] = logits_of_batch(net, inputs_of(net, cases, indices))
    return logits


def inputs_of(net: ActionNet, cases: PrefixSet, indices: Ints) -> Inputs:
    """What the network reads of these cases."""
    return cases.inputs(indices, with_ids=net.names is not None)


def logits_of_batch(net: ActionNet, batch: Batch | Inputs) -> Floats:
    """Logits (batch, 6)."""
    net.eval()
    with torch.inference_mode():
        logits: Floats = net(*tensors(batch)).numpy()
    return logits


def lengths_of(cases: PrefixSet) -> Ints:
    """Number of steps that a network sees of each case."""
    return cases.last_row - cases.first_row + 1


def tensors(batch: Batch | Inputs) -> tuple[Tensor | None, ...]:
    """Steps, lengths, context and perhaps names of a batch as the network takes them."""
    return tuple(None if part is None else torch.from_numpy(part) for part in batch)


def _optimizer(net: ActionNet, config: FitConfig) -> torch.optim.AdamW:
    """Weight decay on matrices only: a bias that shrinks moves the base rate."""
    tables = [] if net.names is None else list(net.names.parameters())
    others = [parameter for name, parameter in net.named_parameters() if not name.startswith("names.")]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        {"params": tables, "weight_decay": config.name_decay},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate)


def _set_rate(optimizer: torch.optim.AdamW, config: FitConfig, step: int, most_steps: int) -> None:
    """Linear warm-up, then a cosine down to a tenth of the rate."""
    falling = 0.55 + 0.45 * math.cos(math.pi * step / most_steps)
    rate = config.learning_rate * min(1.0, step / config.warm_up_steps) * falling
    for group in optimizer.param_groups:
        group["lr"] = rate


def _train_step(
    net: ActionNet,
    optimizer: torch.optim.AdamW,
    batch: Inputs,
    labels: tuple[Ints, Bools],
    config: FitConfig,
) -> float:
    net.train()
    action_loss, purchase_loss = _losses(net(*tensors(batch)), *labels)
    loss = action_loss + config.purchase_weight * purchase_loss
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def _average(averaged: ActionNet, net: ActionNet, keep: float) -> None:
    for mean, current in zip(averaged.parameters(), net.parameters(), strict=True):
        mean.lerp_(current, 1.0 - keep)


def _validate(net: ActionNet, valid: PrefixSet, number: int, train_loss: float) -> Epoch:
    logits = torch.from_numpy(logits_of(net, valid))
    action_loss, purchase_loss = _losses(logits, valid.target, valid.will_buy)
    return Epoch(number, train_loss, float(action_loss), float(purchase_loss))


def _losses(logits: Tensor, actions: Ints, purchases: Bools) -> tuple[Tensor, Tensor]:
    """Mean log loss of the next action and of the purchase."""
    return (
        cross_entropy(logits[:, :5], torch.from_numpy(actions)),
        binary_cross_entropy_with_logits(logits[:, 5], torch.from_numpy(purchases).to(logits.dtype)),
    )
