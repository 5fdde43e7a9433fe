"""Scoring visitors again from the events that were sent, at every price level there can have been."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.partitioning import partition_of
from contracts.scores import Score
from contracts.visitor import Action
from models.next_action.cases import take_off
from models.next_action.encoding import Batch, encode_actions, stack, stack_ids
from models.next_action.features import CONTEXT_FEATURES, CONTEXT_LEVELS, STEP_FEATURES, STEP_LEVELS
from models.next_action.model import Model
from models.next_action.prices import PriceLevel
from models.silence import hear_silence
from ops.audit.known import State
from ops.audit.price_track import PriceTrack, Span

TOLERANCE = 5e-4
"""Probabilities are told in steps of 1e-4, and a batch of another width sums floats in another order."""
SLACK = 0.25
"""Part of its own width by which a range is widened: between the levels asked about it may bend."""
WIDEST = 0.1
"""A range of probabilities wider than this checks nothing."""
LEVELS, MANY_LEVELS = 5, 129
"""How many levels are asked about, evenly from their range. Boosted trees in a model jump where a price less
the level passes a threshold, so between two levels a chance may be far from both."""
_CALL = 256
_AS_IT_IS = PriceLevel(0.0, 1.0)
"""Prices stay logarithms; each level is taken off afterwards."""
_STEP_COLUMNS = [(STEP_FEATURES.index(a), STEP_FEATURES.index(b)) for a, b in STEP_LEVELS.items()]
_CONTEXT_COLUMNS = [(CONTEXT_FEATURES.index(a), CONTEXT_FEATURES.index(b)) for a, b in CONTEXT_LEVELS.items()]

Levels = npt.NDArray[np.float32]


class Case(NamedTuple):
    """What is known of a visitor when a score is made."""

    user_id: str
    state: State


class Chances(NamedTuple):
    """Lowest and highest probability of leaving, and of a purchase after each silence asked about (ms)."""

    leave: Span
    purchase: Mapping[int, Span]


class ScoreReplay:
    """Scores states of visitors. `version` is that of the model, the only one whose scores can be checked.

    Of a model that reads rates of items nothing is known: what was counted when a score was made is not.
    """

    def __init__(
        self,
        model: Model,
        tracks: Mapping[int, PriceTrack],
        *,
        partitions: int,
        idle_ms: int,
        silences_ms: Collection[int],
    ) -> None:
        self.version = model.version
        self.made = 0
        """Cases scored so far."""
        self._model = model
        self._tracks = tracks
        self._partitions = partitions
        self._idle_ms = idle_ms
        self._silences_ms = {0, *silences_ms}

    def score(self, cases: Sequence[Case], levels_asked: int = LEVELS) -> list[Chances | None]:
        """The chances of each case; None where the price level is not known well enough to tell."""
        known = [] if self._model.reads_rates else cases
        levels = {index: span for index, case in enumerate(known) if (span := self._level(case)) is not None}
        self.made += len(levels)
        order = sorted(levels, key=lambda index: len(cases[index].state))
        found: list[Chances | None] = [None] * len(cases)
        for start in range(0, len(order), _CALL):
            places = order[start : start + _CALL]
            spans = np.array([levels[index] for index in places], dtype=np.float32)
            for index, chances in zip(
                places, self._ask([cases[i].state for i in places], spans, levels_asked), strict=True
            ):
                low, high = chances.purchase[0]
                found[index] = chances if high - low <= WIDEST else None
        return found

    def _level(self, case: Case) -> Span | None:
        track = self._tracks.get(partition_of(case.user_id, self._partitions))
        arrived_ms = max(sent_event.arrived_ms for sent_event in case.state)
        return None if track is None else track.span(case.state[-1].at_ms, arrived_ms)

    def _ask(self, states: Sequence[State], spans: Levels, levels_asked: int) -> Iterator[Chances]:
        actions = [[_action_of(*sent_event) for sent_event in state] for state in states]
        batch = stack([encode_actions(own, _AS_IT_IS, self._idle_ms) for own in actions])
        ids = stack_ids(actions, batch[1]) if self._model.reads_ids else None
        rows = []
        for share in np.linspace(0.0, 1.0, levels_asked):
            level = spans[:, 0] + (spans[:, 1] - spans[:, 0]) * np.float32(share)
            probabilities, purchase = self._model.predict(*_at_level(batch, level), ids)
            rows.append(list(zip(probabilities.tolist(), purchase.tolist(), strict=True)))
        for answers in zip(*rows, strict=True):
            scores = [Score(self.version, 0, 0, 0, tuple(parts), purchase) for parts, purchase in answers]
            yield Chances(
                _widen([probabilities[-1] for probabilities, _ in answers]),
                {
                    after_ms: _widen([_hear(score, after_ms) for score in scores])
                    for after_ms in self._silences_ms
                },
            )


def _action_of(
    at_ms: int,
    rank: int,
    tie: bytes,
    product_id: str,
    quantity: int,
    price_minor: int | None,
    currency: str | None,
    _: int,
    category: str | None,
    brand: str | None,
) -> Action:
    return Action(at_ms, rank, tie, product_id, quantity, price_minor, currency, category, brand, None)


def _at_level(batch: Batch, level: Levels) -> Batch:
    steps, lengths, context = batch[0].copy(), batch[1], batch[2].copy()
    take_off(steps, level[:, None], _STEP_COLUMNS)
    take_off(context, level, _CONTEXT_COLUMNS)
    return steps, lengths, context


def _hear(score: Score, silence_ms: int) -> float:
    """The chance of a purchase after the silence; that of the score itself where there was none."""
    return hear_silence(score, silence_ms).purchase if silence_ms else score.purchase


def _widen(values: Sequence[float]) -> Span:
    low, high = min(values), max(values)
    by = TOLERANCE + SLACK * (high - low)
    return low - by, high + by
