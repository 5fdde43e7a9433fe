"""Trains and judges the session network of recommendations. Training needs the extra [train]."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from contracts.events import Event
from contracts.settings import Settings
from contracts.visitor import Action
from models.artefacts.source import VersionedSource
from models.lifecycle.pairs import SessionPair
from models.lifecycle.trainer import HeldOut, Made, SlotTrainer, Stretch
from models.next_action.prefixes import actions_by_visitor
from models.next_item.sessions import UNKNOWN, Sessions, code_catalogue, split_by_time
from models.next_item.source import NEXT_ITEM, next_item_source
from models.next_item.visits import sessions_of_visitors
from models.recommendation.evaluation.live import Live
from models.recommendation.evaluation.replay import Past, in_time, replay_cases
from models.recommendation.evaluation.versions import (
    TASKS,
    Floats,
    find_span,
    judge_sessions,
)
from models.recommendation.session_model import SessionModel
from ops.learning.loop.next_action import OWN_LICENCE

NEW = 0.15
"""Share of the sessions, the newest, that are not learnt from."""
NEEDS = 2_000
_ASKED = 32
"""Visitors whose answers are timed, the newest."""
_ANSWER_S = 0.002
"""Processor time of an answer that no page waits too long for, however fast the sessions alone are."""


class ShopPast:
    """What visitors did, and what is made of it when it is asked for."""

    def __init__(self, by_visitor: Mapping[str, Sequence[Action]], idle_ms: int) -> None:
        self.idle_ms = idle_ms
        self._by_visitor = by_visitor

    @cached_property
    def actions(self) -> list[tuple[str, Action]]:
        """Visitors and their actions with a product, in order of time."""
        return in_time(self._by_visitor)

    @cached_property
    def sessions(self) -> tuple[Sessions, list[str]]:
        """The sessions, and the ids of products by code."""
        return sessions_of_visitors(self._by_visitor, idle_ms=self.idle_ms)

    @cached_property
    def live(self) -> tuple[Live, list[Past]]:
        """What answers at the end of it, and the newest visitors to be answered."""
        live, pasts = Live("alone", idle_ms=self.idle_ms), dict[str, Past]()

        def note(_place: int, past: Past, _action: Action) -> bool:
            pasts.pop(past.visitor, None)
            pasts[past.visitor] = past
            return False

        replay_cases(self.actions, [live], note, idle_ms=self.idle_ms)
        return live, list(pasts.values())[-_ASKED:]


class NextItemTrainer(SlotTrainer[SessionModel, ShopPast]):
    """Network and ranker of `storepulse train next-item`, by its defaults but for the loss in small shops."""

    slot = NEXT_ITEM
    needs = NEEDS
    counted = "sessions of several products"
    tasks = TASKS
    fast_enough_s = _ASKED * _ANSWER_S

    def source(self, settings: Settings) -> VersionedSource[SessionModel]:
        """See `SlotTrainer.source`."""
        return next_item_source(settings.next_item_dir)

    def read(self, events: Iterable[Event], settings: Settings) -> ShopPast:
        """See `SlotTrainer.read`."""
        return ShopPast(actions_by_visitor(events), settings.idle_ms)

    def count(self, data: ShopPast) -> int:
        """See `SlotTrainer.count`."""
        return int((np.diff(data.sessions[0].starts) > 1).sum())

    def train(self, data: ShopPast) -> Made:
        """See `SlotTrainer.train`."""
        from models.next_item.training.net_config import FitConfig, NetConfig
        from models.next_item.training.ranker import RankerConfig
        from models.next_item.training.recipe import Recipe, train

        sessions, products = data.sessions
        earlier, later = split_by_time(sessions, NEW)
        learnt, code_of = code_catalogue(earlier)
        fit = FitConfig()
        if learnt.n_items <= fit.negatives:  # all of them cost less than as many that are drawn
            fit = replace(fit, loss="full")
        border_ms = _first_ms(later)
        made = train(
            learnt,
            np.array(products, dtype=np.str_)[code_of != UNKNOWN],
            Recipe(NetConfig(), fit, licence=OWN_LICENCE, ranker=RankerConfig(), idle_ms=data.idle_ms),
            actions=[one for one in data.actions if one[1].at_ms < border_ms],
            origin="this shop",
        ).artefact
        return Made(made.model, made.card, made.beside)

    def examine(self, model: SessionModel, data: ShopPast) -> HeldOut:
        """See `SlotTrainer.examine`: base rates are what was popular, the other is the sessions alone."""
        border_ms = _first_ms(split_by_time(data.sessions[0], NEW)[1])
        span = find_span(data.actions, border_ms - 1, idle_ms=data.idle_ms)
        found = judge_sessions(data.actions, [model], span, idle_ms=data.idle_ms)
        (own,) = found.models
        return HeldOut(_sum(own), _sum(found.popularity), {"the sessions alone": _sum(found.alone)})

    def ask(self, model: SessionModel, data: ShopPast) -> Any:
        """See `SlotTrainer.ask`: whole answers to the newest visitors."""
        live, pasts = data.live
        return [live.answer(past, past.steps[-1].at_ms, model) for past in pasts]

    def judge(
        self, champion: SessionModel, other: SessionModel | None, data: ShopPast, after_ms: int
    ) -> Stretch:
        """See `SlotTrainer.judge`: the base is the sessions alone."""
        span = find_span(data.actions, after_ms, idle_ms=data.idle_ms)
        if span.through_ms == span.after_ms:
            return Stretch(span.through_ms, [])
        models = [model for model in (champion, other) if model is not None]
        found = judge_sessions(data.actions, models, span, idle_ms=data.idle_ms, fails_over=True)
        rows = zip(found.answers, found.models[0], found.models[-1], found.alone, strict=True)
        return Stretch(span.through_ms, [_pair(*row) for row in rows])


def _pair(n: int, champion: Floats, other: Floats, alone: Floats) -> SessionPair:
    return SessionPair(int(n), tuple(champion.tolist()), tuple(other.tolist()), base=float(alone.sum()))


def _first_ms(sessions: Sessions) -> int:
    """When the first of them began; raises `ValueError` if there are none with times."""
    if sessions.at_ms is None or not len(sessions.at_ms):
        raise ValueError("there are no new sessions")
    return int(sessions.at_ms[0])


def _sum(losses: Floats) -> Floats:
    """Of all tasks together."""
    summed: Floats = losses.sum(axis=1)
    return summed
