"""`storepulse evaluate drift`: a simulated shop whose visitors change, and how long models take to follow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from contracts.events import Event, EventType
from models.drift import Drift
from models.evaluation.metrics import binary_losses, class_losses
from models.lifecycle.pairs import PairSums
from models.lifecycle.verdicts import interval_of, judge
from models.next_action.cases import PrefixSet
from models.next_action.prefixes import prefixes_of
from models.online.replay import history_of, replay
from ops.learning.predictions import say_model
from ops.learning.results import open_console, save_json, say_missing
from ops.learning.shop_events import SIMULATED_FROM_MS
from producers.simulator.profiles import DEMO, LogNormal, Profile
from producers.simulator.simulation import SimulationConfig, simulate

if TYPE_CHECKING:
    from models.next_action.predictor import Predictor

WINDOW = 500
"""Answers over which live figures are taken."""
WITHIN = 1.10
_DAY_MS = 86_400_000
_VISITORS = 20_000
_BOT_VIEWS, _BOT_PAUSE_MS = 40, 2_000
_IDLE_MS = 30 * 60_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """What was asked for: days before and after the change, events a second, and hours between candidates."""

    before_days: float = 2.0
    after_days: float = 2.0
    rate: float = 0.15
    every_h: float = 6.0
    epochs: int = 6
    quiet_weeks: float = 1.0
    seed: int = 1
    json: Path | None = None


class Change(NamedTuple):
    """What visitors do from one moment on."""

    profile: Profile
    bots_per_h: float = 0.0


CHANGES = {
    "prices doubled": Change(
        replace(
            DEMO, price=LogNormal(2 * DEMO.price.median, DEMO.price.sigma), shops=DEMO.shops * 0.6,
            buys=DEMO.buys * 0.4,
        )
    ),
    "a sale": Change(
        replace(DEMO, shops=min(0.5, DEMO.shops * 3), buys=min(0.85, DEMO.buys * 1.8), views_again=0.05)
    ),
    "bots": Change(DEMO, bots_per_h=25.0),
}  # fmt: skip


def run_drift_evaluation(options: DriftOptions) -> int:
    """Simulate, train, replay and print; returns the exit code."""
    errors = Console(stderr=True)
    try:
        import torch  # noqa: F401  # whether it is there
    except ModuleNotFoundError as exc:
        return say_missing(errors, exc)
    table = Table(
        title=f"log loss within {WITHIN - 1:.0%} of a model of the new behaviour", title_justify="left"
    )
    for name in ("change", "predictor", "first 500", "last 500", "of the reference", "back after"):
        table.add_column(name, justify="left" if name in ("change", "predictor") else "right")
    found: list[dict[str, Any]] = []
    old = None
    for name, change in CHANGES.items():
        shop = _Shop(change, options)
        old = old or shop.train(shop.before)
        for line in shop.measure(old):
            found.append({"change": name, **line._asdict()})
            back = "never" if line.back_h is None else f"{line.back_h:.1f} h"
            losses = (f"{value:.3f}" for value in (line.first, line.last, line.reference))
            table.add_row(name, line.predictor, *losses, back)
    open_console(140).print(table)
    quiet = measure_quiet(old, options) if old is not None else {}
    Console().print(f"quiet, {options.quiet_weeks:g} weeks: {quiet}", markup=False)
    return save_json(errors, options.json, {"lines": found, "quiet": quiet})


class Line(NamedTuple):
    """One predictor after a change: losses of the first and the last `WINDOW` answers, that of the model of
    the new behaviour over the last ones, and hours until it is near it; None for never."""

    predictor: str
    first: float
    last: float
    reference: float
    back_h: float | None


class _Shop:
    def __init__(self, change: Change, options: DriftOptions) -> None:
        self.options = options
        self.changed_ms = SIMULATED_FROM_MS + round(options.before_days * _DAY_MS)
        self.before = list(_simulated(SIMULATED_FROM_MS, self.changed_ms, Change(DEMO), options, "b"))
        end_ms = self.changed_ms + round(options.after_days * _DAY_MS)
        after = _simulated(self.changed_ms, end_ms, change, options, "a")
        self.events = [*self.before, *after]
        self.elsewhere = list(_simulated(self.changed_ms, end_ms, change, replace(options, seed=99), "e"))

    def train(self, events: list[Event]) -> "Predictor":
        return _train(prefixes_of(events, idle_ms=_IDLE_MS), self.options)

    def measure(self, old: "Predictor") -> Iterator[Line]:
        cases = prefixes_of(self.events, idle_ms=_IDLE_MS)
        reference = say_model(self.train(self.elsewhere), cases)
        alone = say_model(old, cases)
        looped, promoted = self._looped(cases, alone)
        predictors: dict[str, tuple[Any, bool]] = {
            "old model": (alone, False),
            f"with the loop ({promoted} promoted)": (looped, False),
            "online learning": (alone, True),
            "both": (looped, True),
        }
        known = history_of(cases, *alone)
        is_judged = known.next_known & known.purchase_known & (known.at_ms >= self.changed_ms)
        order = np.argsort(known.learnt_ms[is_judged], kind="stable")
        at_ms = known.learnt_ms[is_judged][order]
        wanted = _losses_of(cases, reference, online=False)[is_judged][order]
        for name, (said, online) in predictors.items():
            losses = _losses_of(cases, said, online=online)[is_judged][order]
            yield Line(
                name, float(losses[:WINDOW].mean()), float(losses[-WINDOW:].mean()),
                float(wanted[-WINDOW:].mean()), _hours_back(losses, wanted, at_ms - self.changed_ms),
            )  # fmt: skip

    def _looped(self, cases: PrefixSet, said: tuple[Any, Any]) -> tuple[tuple[Any, Any], int]:
        """What is said with the loop, and how many candidates were promoted: each once it proves better."""
        probabilities, purchase = said[0].copy(), said[1].copy()
        promoted = 0
        every_ms = round(self.options.every_h * 3_600_000)
        at_ms, end_ms = self.changed_ms + every_ms, int(cases.at_ms.max())
        while at_ms < end_ms:
            past = cases.select(cases.known(at_ms))
            candidate = say_model(_train(past, self.options), cases)
            better_ms, looked_ms = _proved(cases, (probabilities, purchase), candidate, at_ms, every_ms)
            if better_ms is not None:
                promoted += 1
                since = cases.at_ms >= better_ms
                probabilities[since], purchase[since] = candidate[0][since], candidate[1][since]
            at_ms = max(at_ms + every_ms, looked_ms)
        return (probabilities, purchase), promoted


def _proved(
    cases: PrefixSet, champion: tuple[Any, Any], candidate: tuple[Any, Any], from_ms: int, every_ms: int
) -> tuple[int | None, int]:
    """When the candidate has proved better, if it has, and when that was decided or given up."""
    mine = cases.known() & (cases.start_ms >= from_ms)
    ended_ms = cases.end_ms[mine] + cases.idle_ms
    difference = (_raw(cases, candidate) - _raw(cases, champion))[mine]
    _, session = np.unique(cases.session[mine], return_inverse=True)
    total = np.bincount(session, difference)
    ended = np.zeros(len(total), dtype=np.int64)
    np.maximum.at(ended, session, ended_ms)
    order = np.argsort(ended, kind="stable")
    total, ended = total[order], ended[order]
    sums, squares = total.cumsum(), (total**2).cumsum()
    for n in range(1, len(total) + 1, 10):
        interval = interval_of(n, float(sums[n - 1]), float(squares[n - 1]))
        pair = PairSums(n, n, (0.0,), (0.0,), float(sums[n - 1]), float(squares[n - 1]), {})
        verdict = judge(pair, interval, waited_s=(ended[n - 1] - from_ms) / 1_000)
        if verdict.is_better or verdict.is_worse:
            return (int(ended[n - 1]) if verdict.is_better else None), int(ended[n - 1])
        if ended[n - 1] > from_ms + 2 * every_ms:  # a newer one is tried
            break
    return None, from_ms + every_ms


def measure_quiet(old: "Predictor", options: DriftOptions) -> dict[str, int]:
    """Alarms of the drift watch in a shop in which nothing changes."""
    from_ms = SIMULATED_FROM_MS + round(options.before_days * _DAY_MS)
    end_ms = from_ms + round(7 * options.quiet_weeks * _DAY_MS)
    events = _simulated(from_ms, end_ms, Change(DEMO), replace(options, seed=options.seed + 7), "q")
    cases = prefixes_of(list(events), idle_ms=_IDLE_MS)
    said = say_model(old, cases)
    order = np.argsort(cases.at_ms, kind="stable")
    given = said[0][np.arange(len(cases)), cases.target]
    numbers = {"error": 1.0 - given, "score": said[1]}
    found = {"sessions": int((cases.length == 1).sum())}
    for name, values in numbers.items():
        drift = Drift(name)
        for place in order.tolist():
            drift.learn([float(values[place])], at_ms=int(cases.at_ms[place]))
        found[f"alarms ({name})"] = drift.state.drifts
    return found


def _train(cases: PrefixSet, options: DriftOptions) -> "Predictor":
    from models.next_action.predictor import Predictor
    from models.next_action.training.fit import FitConfig
    from models.next_action.training.net_config import NetConfig
    from models.next_action.training.recipe import Recipe, train

    fit = FitConfig(most_epochs=options.epochs, learning_rate=3e-3, average=0.98)
    trained = train({"shop": cases}, Recipe(NetConfig(), fit, options.seed, 0.8, 0.2, budget=None))
    return Predictor(trained.model, trained.card)


def _raw(cases: PrefixSet, said: tuple[Any, Any]) -> Floats:
    purchase = binary_losses(cases.will_buy, said[1].astype(np.float64))
    return class_losses(cases.target, said[0].astype(np.float64)) + purchase


def _losses_of(cases: PrefixSet, said: tuple[Any, Any], *, online: bool) -> Floats:
    """Losses in order of time, corrected by what is learnt online or not."""
    if not online:
        return _raw(cases, said)[np.argsort(cases.at_ms, kind="stable")]
    replayed = replay(history_of(cases, *said))
    purchase = binary_losses(replayed.buys, replayed.published[:, 5])
    return class_losses(replayed.targets, replayed.published[:, :5]) + purchase


def _hours_back(losses: Floats, wanted: Floats, since_ms: npt.NDArray[np.int64]) -> float | None:
    """Hours from the change until the last `WINDOW` answers are near those of the reference, and stay so.

    All of them came after the change, so it takes as long as they do. None: never.
    """
    if len(losses) < WINDOW:
        return None
    mine, theirs = (np.convolve(part, np.ones(WINDOW), "valid") for part in (losses, wanted))
    far = np.flatnonzero(mine > WITHIN * theirs)
    back = 0 if not len(far) else int(far[-1]) + 1
    return None if back >= len(mine) else float(since_ms[WINDOW - 1 + back]) / 3_600_000


def _simulated(
    from_ms: int, end_ms: int, change: Change, options: DriftOptions, mark: str
) -> Iterator[Event]:
    config = SimulationConfig(from_ms, end_ms, options.rate, _VISITORS, change.profile)
    shoppers = (
        event._replace(event_id=mark + event.event_id, user_id=mark + event.user_id)
        for event in simulate(config, options.seed)
    )
    bots = _bots(from_ms, end_ms, change.bots_per_h, options.seed, mark)
    return merge(shoppers, bots, key=attrgetter("event_time_ms"))


def _bots(from_ms: int, end_ms: int, per_h: float, seed: int, mark: str) -> Iterator[Event]:
    """Views of many products, one after the other and never anything else, one robot at a time."""
    if not per_h:
        return
    draw, at_ms, number = Random(seed), float(from_ms), 0
    while at_ms < end_ms:
        at_ms += draw.expovariate(per_h / 3_600_000)
        number += 1
        for view in range(_BOT_VIEWS):
            at_ms += _BOT_PAUSE_MS
            if at_ms < end_ms:
                ids = f"{mark}bot{number}-{view}", f"{mark}bot{number}"
                yield Event(ids[0], EventType.VIEW, round(at_ms), ids[1], f"p{draw.randrange(400):05d}")
