"""How far the rates of items that a worker gives to a model are from those it was trained on.

The events of a file go through the pure steps, a batch of a partition at a time. The rates at the last action
of every visitor of a batch are compared with what `rates_by_action` says of that action. Other partitions are
known as late as those of other workers are.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from time import process_time_ns

import numpy as np
import numpy.typing as npt

from benchmarks.core import RawRecord
from contracts.events import Event, encode
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import Visitor
from models.evaluation.metrics import binary_losses, class_losses, roc_auc
from models.next_action.cases import PrefixSet
from models.next_action.features import CONTEXT_FEATURES
from models.next_action.predictor import Predictor
from models.next_action.prefixes import actions_by_visitor, prefixes_of_visitors
from models.next_action.rates import NOTHING, RATE_FEATURES, Funnel, rates_of_visitor
from ops.learning.predictions import say_model
from stream.batch.core import Core
from stream.batch.entries import Clock
from stream.batch.step import StepSettings
from stream.components.component import Applied
from stream.components.items import Items, PartitionItems
from stream.scoring.item_pool import PooledItems, rates_of_visitors

Floats = npt.NDArray[np.float32]
TESTED = 0.15
"""The last sessions, which a training leaves out (`storepulse train next-action`)."""
ROUND = 256
"""Visitors whose rates are found at once (`stream.scoring.next_action.MOST_VISITORS`)."""
ROUNDS = 20
RUNS = 9
_BATCH_MS = 60_000
_CART_LINES = CONTEXT_FEATURES.index("cart_lines_log")


@dataclass(frozen=True, slots=True)
class RatesRow:
    """The rates of `n` actions, live and as in training.

    `differences` are means of absolute differences by name, `spreads` the standard deviations of the rates
    themselves. Losses are means per case of the model, given either.
    """

    n: int
    differences: dict[str, float]
    spreads: dict[str, float]
    same: float
    """Share of the actions of which all rates differ by less than 0.001."""
    tested: int
    losses: dict[str, dict[str, float]]


def compare_rates(
    events: Sequence[Event],
    model: Predictor | None,
    settings: Settings,
    core: Core,
    *,
    batch_ms: int,
    late_ms: int,
) -> RatesRow:
    """Both for events in order of time, in batches of `batch_ms`; others' partitions are `late_ms` late."""
    by_visitor = actions_by_visitor(events)
    cases = prefixes_of_visitors(by_visitor.values(), idle_ms=settings.idle_ms)
    places = {
        (user_id, action.digest): place
        for place, (user_id, action) in enumerate(
            (user_id, action) for user_id, own in by_visitor.items() for action in own
        )
    }
    found = {
        places[user_id, visitor.tail.last[2]]: rates
        for user_id, visitor, rates in _replay(events, settings, core, batch_ms, late_ms)
    }
    chosen = np.array(sorted(found))
    live = np.array([found[place] for place in chosen], dtype=np.float32)
    trained = cases.rates[chosen]
    apart = np.abs(live - trained)
    losses, tested = ({}, 0) if model is None else _ask(model, cases, chosen, live)
    return RatesRow(
        len(chosen),
        dict(zip(RATE_FEATURES, apart.mean(0).round(5).tolist(), strict=True)),
        dict(zip(RATE_FEATURES, trained.std(0).round(5).tolist(), strict=True)),
        float((apart < 1e-3).all(1).mean()),
        tested,
        losses,
    )


def time_rates(events: Iterable[Event], settings: Settings, cores: Sequence[Core]) -> dict[str, float]:
    """Microseconds of CPU that the rates of a visitor take in each of `cores`, medians of `RUNS` in turns.

    A run takes the last visitors of the events, `ROUND` at a time; all partitions are ours.
    """
    parts = [_Part(number, settings, cores[0]) for number in range(settings.partitions)]
    latest: dict[str, tuple[int, Visitor]] = {}
    for number, own in _batches(events, settings.partitions, _BATCH_MS):
        for user_id, visitor in parts[number].apply(own).items():
            latest.pop(user_id, None)
            latest[user_id] = number, visitor
    ours = tuple([part.items for part in parts])
    pooled = [PooledItems({}, ours) for _ in parts]
    asked = list(latest.values())[-ROUND * ROUNDS :]
    rounds = [
        ([visitor for _, visitor in part], [pooled[number] for number, _ in part])
        for part in (asked[at : at + ROUND] for at in range(0, len(asked), ROUND))
    ]
    taken: dict[str, list[int]] = {core.name: [] for core in cores}
    for _ in range(RUNS):
        for core in cores:
            began_ns = process_time_ns()
            for visitors, counts in rounds:
                core.of(rates_of_visitors)(visitors, counts)
            taken[core.name].append(process_time_ns() - began_ns)
    return {name: median(own) / len(asked) / 1e3 for name, own in taken.items()}


def _ask(
    model: Predictor, cases: PrefixSet, chosen: npt.NDArray[np.int64], live: Floats
) -> tuple[dict[str, dict[str, float]], int]:
    """The model's losses on the last sessions with either rates, and with none (0)."""
    (from_ms,) = cases.boundaries(1.0 - TESTED)
    part = cases.select(chosen)
    is_asked = (part.start_ms >= from_ms) & part.known()
    part = part.select(is_asked)
    given = {"as in training": part.rates, "live": live[is_asked], "none": np.zeros_like(part.rates)}
    losses = {}
    for name, rates in given.items():
        own = PrefixSet(**{field: getattr(part, field) for field in part.__slots__} | {"rates": rates})
        action, purchase = say_model(model, own)
        has_cart = part.context[:, _CART_LINES] > 0
        chances = purchase.astype(np.float64)
        losses[name] = {
            "log_loss": float(class_losses(part.target, action.astype(np.float64)).mean()),
            "purchase_log_loss": float(binary_losses(part.will_buy, chances).mean()),
            "purchase_roc_auc": roc_auc(part.will_buy, chances),
            "purchase_roc_auc_with_a_cart": roc_auc(part.will_buy[has_cart], chances[has_cart]),
        }
    return losses, len(part)


def _replay(
    events: Iterable[Event], settings: Settings, core: Core, batch_ms: int, late_ms: int
) -> Iterator[tuple[str, Visitor, list[float]]]:
    """Every visitor of every batch with the state after it and the rates, by the counts of all partitions."""
    pool = _LatePool(late_ms)
    parts = [_Part(number, settings, core) for number in range(settings.partitions)]
    for number, own in _batches(events, settings.partitions, batch_ms):
        part = parts[number]
        visitors = part.apply(own)
        pool.note(part, part.clock.max_event_ms)
        counted = pool.counted(part)
        for user_id, visitor in visitors.items():
            yield user_id, visitor, rates_of_visitor(visitor, counted)


def _batches(events: Iterable[Event], partitions: int, batch_ms: int) -> Iterator[tuple[int, list[Event]]]:
    """The events in batches of a partition each, by its number."""
    for _, batch in groupby(events, key=lambda event: event.event_time_ms // batch_ms):
        by_part: dict[int, list[Event]] = defaultdict(list)
        for event in batch:
            by_part[partition_of(event.user_id, partitions)].append(event)
        yield from by_part.items()


class _Part:
    """A partition: its visitors, and what it counts of items."""

    def __init__(self, number: int, settings: Settings, core: Core) -> None:
        self.number = number
        self.clock = Clock(0, 0)
        self._core, self._rules = core, StepSettings.of(settings)
        self._settings = settings
        self._component = Items(core)
        self.items = self._component.load({})
        self.changed: dict[str, Funnel] = {}
        self._visitors: dict[str, Visitor | None] = {}
        self._offset = 0

    def apply(self, events: Sequence[Event]) -> dict[str, Visitor]:
        """Apply a batch; the visitors it is of."""
        entries = []
        for event in events:
            record = RawRecord(self._offset, event.event_time_ms, event.user_id.encode(), encode(event))
            self._offset += 1
            entries += self._core.read_records(
                [record],
                topic=Topics().of(event.event_type),
                partition=self.number,
                partitions=self._settings.partitions,
                default_currency=self._settings.currency,
                now_ms=0,
            )
        users = self._core.users_of(entries)
        states = {user_id: self._visitors.get(user_id) for user_id in users}
        result = self._core.apply_batch(self.clock, entries, states, self._rules)
        self.clock = result.clock
        before = self.items
        applied: Applied[None] = Applied(result.clock, result.counts, result.visitors, [], {})
        after: PartitionItems | None = self._component.apply(before, applied).state
        if after is not None:
            self.items = after
            self.changed = {name: after.funnel(name) for name in after.newer}
        self._visitors |= result.visitors
        return result.visitors


class _LatePool:
    """What all partitions have counted, of which others than the one that asks are some time behind."""

    def __init__(self, late_ms: int) -> None:
        self._late_ms = late_ms
        self._waiting: deque[tuple[int, int, dict[str, Funnel]]] = deque()
        self._known: dict[int, dict[str, Funnel]] = defaultdict(dict)
        self._sum: dict[str, Funnel] = {}

    def note(self, part: _Part, now_ms: int) -> None:
        """Take what a batch changed."""
        self._waiting.append((now_ms + self._late_ms, part.number, part.changed))
        while self._waiting and self._waiting[0][0] <= now_ms:
            _, number, changed = self._waiting.popleft()
            known = self._known[number]
            for name, funnel in changed.items():
                before = known.get(name, NOTHING)
                known[name] = funnel
                self._sum[name] = self._sum.get(name, NOTHING).joined(
                    Funnel(*(a - b for a, b in zip(funnel, before, strict=True)))
                )

    def counted(self, part: _Part) -> Callable[[str], Funnel]:
        """What everybody did, as a partition knows it."""
        own = self._known[part.number]

        def look_up(name: str) -> Funnel:
            others = self._sum.get(name, NOTHING).without(own.get(name, NOTHING))
            return others.joined(part.items.funnel(name))

        return look_up
