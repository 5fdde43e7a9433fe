"""Fitting a session network: AdamW, averaged weights, stopped by what it ranks on the newest sessions."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from models.fitting import deterministic, shuffled_batches
from models.next_item.cases import Cases, known_cases_of
from models.next_item.sessions import UNKNOWN, Sessions, split_by_time
from models.next_item.training.losses import Negatives, full_losses, sampled_losses, uniformity_loss
from models.next_item.training.net_config import FitConfig, NetConfig
from models.next_item.training.nets import SessionNet

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
TOP = 20
VALID_SHARE = 0.1
"""The newest sessions, which tell when to stop."""
_MOST_VALID = 10_000
"""Validation cases at most, evenly from all: each is ranked among all items."""
_AVERAGE_EVERY = 8
"""Steps between two updates of the averaged weights: the item vectors are millions of numbers."""
_MOST_SPREAD = 1_024
"""Drawn items that the uniformity loss compares with."""


class Epoch(NamedTuple):
    """An epoch of training: the mean loss, and the ranks of validation targets among all items.

    NaN without validation: it is a training on all sessions. `cases_per_s` is of the training alone.
    """

    number: int
    train_loss: float
    recall: float
    mrr: float
    ndcg: float
    cases_per_s: float


@dataclass(slots=True)
class Fitted:
    """A fitted network in evaluation mode; `counts` (items,) is how often training had each item."""

    net: SessionNet
    counts: Ints
    best: Epoch
    history: list[Epoch] = field(default_factory=list)
    validated: "Fitted | None" = None
    """After a refit, the network before it, which has not learnt from the newest tenth of the sessions."""


def fit_net(
    sessions: Sessions,
    net_config: NetConfig,
    config: FitConfig,
    *,
    seed: int,
    threads: int = 1,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Fitted:
    """A network made and fitted; the same arguments give the same weights on the same machine.

    Validation is the newest tenth of the sessions. Raises `ValueError` where a part has no prefix to learn
    from.
    """
    history: list[Epoch] = []

    def note(epoch: Epoch) -> None:
        history.append(epoch)
        if on_epoch is not None:
            on_epoch(epoch)

    learnt, checked = split_by_time(sessions, VALID_SHARE)
    fitted = _fit(learnt, checked, net_config, config, config.most_epochs, seed, threads, note)
    if not config.refit:
        return replace(fitted, history=history)
    whole = _fit(sessions, None, net_config, config, fitted.best.number, seed, threads, note)
    return replace(whole, best=fitted.best, history=history, validated=fitted)


def ranks_of(net: SessionNet, cases: Cases, counts: Ints, batch_size: int = 256) -> Ints:
    """The rank of each target among all items, from 1 on; ties and targets never seen are against it."""
    ranks = np.empty(len(cases), dtype=np.int64)
    never = torch.from_numpy(counts == 0)
    net.eval()
    with torch.inference_mode():
        table = normalize(net.items, dim=1)
        for at in range(0, len(cases), batch_size):
            part = cases.take(slice(at, at + batch_size))
            scores = _encode(net, table, *part.rows()) @ table.T  # (batch, items)
            scores[:, never] = -math.inf
            own = scores.gather(1, torch.from_numpy(part.targets.astype(np.int64))[:, None])
            ranks[at : at + len(part)] = (scores >= own).sum(dim=1).numpy()
    return ranks


def _fit(
    train: Sessions,
    valid: Sessions | None,
    net_config: NetConfig,
    config: FitConfig,
    most_epochs: int,
    seed: int,
    threads: int,
    note: Callable[[Epoch], None],
) -> Fitted:
    cases = _require(known_cases_of(train, net_config.length), "to learn from")
    checks = None
    if valid is not None:
        checks = _require(known_cases_of(valid, net_config.length), "to validate on").spread(_MOST_VALID)
    counts = np.bincount(train.items[train.items != UNKNOWN], minlength=train.n_items)
    with deterministic(seed, threads) as rng:
        net = SessionNet(train.n_items, net_config)
        fitting = _Fitting(net, cases, counts, config, rng)
        best: Epoch | None = None
        best_state = copy.deepcopy(fitting.averaged.state_dict())
        for number in range(1, most_epochs + 1):
            began = time.perf_counter()
            loss = fitting.run_epoch()
            pace = len(cases) / (time.perf_counter() - began)
            epoch = _measured(fitting.averaged, checks, counts, number, loss, pace)
            note(epoch)
            if best is None or checks is None or epoch.ndcg > best.ndcg:
                best, best_state = epoch, copy.deepcopy(fitting.averaged.state_dict())
            elif number - best.number >= config.patience:
                break
    if best is None:
        raise ValueError(f"most_epochs must be at least 1, got {most_epochs}")
    net.load_state_dict(best_state)
    return Fitted(net.eval(), counts, best)


class _Fitting:
    """A network being trained, and the mean of its recent weights."""

    def __init__(
        self, net: SessionNet, cases: Cases, counts: Ints, config: FitConfig, rng: np.random.Generator
    ) -> None:
        self.net, self.cases, self.config, self.rng = net, cases, config, rng
        self.averaged = copy.deepcopy(net).eval()
        self.lengths, self.weights = cases.lengths, cases.weights(config.action_weights)
        self.negatives = Negatives(counts, config.power, config.negatives)
        log_expected = self.negatives.log_expected
        self.log_expected = log_expected if config.log_q else torch.zeros_like(log_expected)
        self.optimizer = _optimizer(net, config)
        self.step = 0
        self.most_steps = config.most_epochs * math.ceil(len(cases) / config.batch_size)

    def run_epoch(self) -> float:
        """Mean loss of every case once."""
        losses = []
        self.net.train()
        for indices in shuffled_batches(self.lengths, self.config.batch_size, self.rng):
            self.step += 1
            _set_rate(self.optimizer, self.config, self.step, self.most_steps)
            losses.append(self._learn(self.cases.take(indices), torch.from_numpy(self.weights[indices])))
            if not self.step % _AVERAGE_EVERY:
                keep = min(self.config.average, (1.0 + self.step) / (10.0 + self.step))
                _average(self.averaged, self.net, keep**_AVERAGE_EVERY)
        return float(np.mean(losses))

    def _learn(self, batch: Cases, weights: Tensor) -> float:
        each = self._full(batch) if self.config.loss == "full" else self._sampled(batch)
        loss = (each[0] * weights).sum() / weights.sum().clamp(min=1e-9) + self.config.uniformity * each[1]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        nn.utils.clip_grad_norm_(self.net.encoder.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def _full(self, batch: Cases) -> tuple[Tensor, Tensor]:
        table = normalize(self.net.items, dim=1)
        query = _encode(self.net, table, *batch.rows())
        targets = torch.from_numpy(batch.targets.astype(np.int64))
        drawn = torch.from_numpy(self.negatives.draw(self.rng))
        losses = full_losses(query @ table.T * self.net.config.scale, targets)
        return losses, self._uniformity(embedding(targets, table), targets, embedding(drawn, table), drawn)

    def _sampled(self, batch: Cases) -> tuple[Tensor, Tensor]:
        # Each item of the batch is taken from the table and normalised once, however often it occurs.
        rows, lengths = batch.rows()
        targets, drawn = batch.targets.astype(np.int64), self.negatives.draw(self.rng)
        codes, places = np.unique(np.concatenate([rows.ravel(), targets, drawn]), return_inverse=True)
        vectors = normalize(embedding(torch.from_numpy(codes), self.net.items), dim=1)
        at_targets, at_drawn = rows.size, rows.size + len(targets)
        query = _encode(self.net, vectors, places[:at_targets].reshape(rows.shape), lengths)
        right = embedding(torch.from_numpy(places[at_targets:at_drawn]), vectors)
        wrong = embedding(torch.from_numpy(places[at_drawn:]), vectors)
        losses = sampled_losses(
            query * self.net.config.scale, right, wrong, targets, drawn, self.log_expected
        )
        codes_of = torch.from_numpy(targets), torch.from_numpy(drawn)
        return losses, self._uniformity(right, codes_of[0], wrong, codes_of[1])

    def _uniformity(self, vectors: Tensor, codes: Tensor, others: Tensor, other_codes: Tensor) -> Tensor:
        if self.config.uniformity == 0.0:
            return torch.zeros(())
        return uniformity_loss(vectors, others[:_MOST_SPREAD], codes, other_codes[:_MOST_SPREAD])


def _encode(net: SessionNet, table: Tensor, rows: Ints, lengths: Ints) -> Tensor:
    """Vectors (batch, width) of prefixes whose items are rows of a table of unit vectors."""
    encoded: Tensor = net.encoder(embedding(torch.from_numpy(rows), table), torch.from_numpy(lengths))
    return encoded


def _measured(
    net: SessionNet, checks: Cases | None, counts: Ints, number: int, loss: float, pace: float
) -> Epoch:
    if checks is None:
        return Epoch(number, loss, math.nan, math.nan, math.nan, pace)
    ranks = ranks_of(net, checks, counts)
    found = ranks <= TOP
    gains = (np.ones(len(ranks)), 1.0 / ranks, 1.0 / np.log2(ranks + 1.0))
    recall, mrr, ndcg = (float(np.where(found, gain, 0.0).mean()) for gain in gains)
    return Epoch(number, loss, recall, mrr, ndcg, pace)


def _require(cases: Cases, purpose: str) -> Cases:
    if not len(cases):
        raise ValueError(f"there are no sessions of two or more items {purpose}")
    return cases


def _optimizer(net: SessionNet, config: FitConfig) -> torch.optim.AdamW:
    """Weight decay on the encoder's matrices only; item vectors are normalised wherever they are read."""
    parameters = list(net.encoder.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        {"params": [net.items], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _set_rate(optimizer: torch.optim.AdamW, config: FitConfig, step: int, most_steps: int) -> None:
    """Linear warm-up, then a cosine down to a tenth of the rate."""
    falling = 0.55 + 0.45 * math.cos(math.pi * step / most_steps)
    rate = config.learning_rate * min(1.0, step / config.warm_up_steps) * falling
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def _average(averaged: SessionNet, net: SessionNet, keep: float) -> None:
    for mean, current in zip(averaged.parameters(), net.parameters(), strict=True):
        mean.lerp_(current, 1.0 - keep)
