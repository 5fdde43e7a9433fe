"""Versions of the model beside the recent sessions, judged in a replay by what visitors went on to."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.visitor import Action
from models.next_item.source import ALONE
from models.recommendation.evaluation.baselines import Popularity
from models.recommendation.evaluation.live import Live, LiveBeside
from models.recommendation.evaluation.replay import MISSED, Contender, Outcome, Past, replay_cases
from models.recommendation.session_model import SessionModel

log = logging.getLogger(__name__)

TASKS = ("rank", "miss")
"""Of an answer: 1 less the reciprocal rank of the product that came, and 1 if it is not in the list."""
MOST_ACTIONS = 50
"""Of a session, the first: bots go on for ever."""
JUDGED_MS = 3_600_000
"""And those of its first hour, so that one visitor cannot hold back the judging of all others."""
MOST_SESSIONS = 5_000
"""In one replay, the earliest ones."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Span(NamedTuple):
    """Sessions that began after one time and not after another (epoch ms)."""

    after_ms: int
    through_ms: int


class SessionLosses(NamedTuple):
    """By session: answers (sessions,), and losses summed over them (sessions, tasks)."""

    answers: Ints
    models: tuple[Floats, ...]
    """Of each version that was asked about."""
    alone: Floats
    """Of the recent sessions without any."""
    popularity: Floats
    """Of what was popular in the last hours."""


def find_span(
    actions: Sequence[tuple[str, Action]], after_ms: int, *, idle_ms: int, most: int = MOST_SESSIONS
) -> Span:
    """The sessions that can be judged next: up to the first one that may go on, and at most so many.

    Actions are in order of time; some of the last ones may be missing, of some visitors. A session is over
    once twice the idle gap has passed. The first third of the actions is for the index to be filled with.
    """
    if not actions:
        return Span(after_ms, after_ms)
    over_ms = actions[-1][1].at_ms - 2 * idle_ms
    after_ms = max(after_ms, actions[len(actions) // 3][1].at_ms)
    started, last = dict[str, int](), dict[str, int]()
    starts: list[int] = []
    for visitor, action in actions:
        at_ms = action.at_ms
        if visitor not in last or at_ms - last[visitor] > idle_ms:
            started[visitor] = at_ms
            if at_ms > after_ms:
                starts.append(at_ms)
        last[visitor] = at_ms
    may_go_on = [
        start_ms for visitor, start_ms in started.items() if last[visitor] > over_ms < start_ms + JUDGED_MS
    ]
    through_ms = min([over_ms, *(start_ms - 1 for start_ms in may_go_on if start_ms > after_ms)])
    if len(starts) > most:
        through_ms = min(through_ms, starts[most - 1])
    return Span(after_ms, max(after_ms, through_ms))


def judge_sessions(
    actions: Sequence[tuple[str, Action]],
    models: Sequence[SessionModel],
    span: Span,
    *,
    idle_ms: int,
    fails_over: bool = False,
) -> SessionLosses:
    """What the answers of all were worth in the sessions of a span; raises what a model raises.

    Each answer is the whole of `for_you`, given before the action that it is judged by and all later ones.
    With `fails_over` the recent sessions answer for a model that has failed, as in the API.
    """
    live = Live("alone", idle_ms=idle_ms)
    asked = [model for model in models if model is not ALONE]
    beside = _FailingOver if fails_over else LiveBeside
    contenders: list[Contender] = [
        live,
        Popularity("popularity", 6 * 3_600_000.0),
        *(beside(model.version, live, model) for model in asked),
    ]

    def is_case(_: int, past: Past, action: Action) -> bool:
        start_ms = past.session[0].at_ms
        is_early = len(past.session) < MOST_ACTIONS and action.at_ms <= start_ms + JUDGED_MS
        return is_early and span.after_ms < start_ms <= span.through_ms

    outcome = replay_cases(actions, contenders, is_case, idle_ms=idle_ms)
    alone, popularity, *others = (_losses_of(outcome, place) for place in range(len(contenders)))
    left = iter(others)
    return SessionLosses(
        np.bincount(outcome.session),
        tuple(alone if model is ALONE else next(left) for model in models),
        alone,
        popularity,
    )


class _FailingOver:
    """A version as the API asks it: where it fails, the recent sessions rank alone from then on."""

    def __init__(self, name: str, live: Live, model: SessionModel) -> None:
        self.name = name
        self._live, self._model = live, model
        self._has_failed = False

    def best(self, past: Past, now_ms: int) -> list[str]:
        """See `Contender`."""
        try:
            return self._live.answer(past, now_ms, None if self._has_failed else self._model)
        except Exception as exc:  # whatever it does wrong
            log.warning("version %s fails: %r", self.name, exc)
            self._has_failed = True
            return self._live.answer(past, now_ms, None)

    def learn(self, past: Past, action: Action) -> None:
        """Nothing: `live` does."""


def _losses_of(outcome: Outcome, place: int) -> Floats:
    rank = outcome.rank[place]
    is_hit = rank != MISSED
    by_task = 1.0 - np.where(is_hit, 1.0 / np.maximum(rank, 1), 0.0), 1.0 - is_hit
    return np.stack([np.bincount(outcome.session, losses) for losses in by_task], axis=1)
