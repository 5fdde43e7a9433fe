"""Candidates to learn an order from: a shop's past is replayed, and some questions are asked on the way."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.visitor import ACTION_TYPES, Action
from models.next_item.sessions import ACTIONS, Sessions
from models.recommendation.candidates import CANDIDATES, FEATURES
from models.recommendation.evaluation.live import PREFIX, ReplayedShop
from models.recommendation.evaluation.replay import Past, Pasts
from models.recommendation.request import RecommendationRequest
from models.recommendation.session_model import SessionModel, blend
from models.recommendation.sources.source import Asked
from models.recommendation.sources.visitor import describe_candidates

Ints = npt.NDArray[np.int64]
_HOUR_MS = 3_600_000
_RANKS: tuple[int, ...] = tuple([kind.value for kind in ACTION_TYPES].index(name) for name in ACTIONS)
"""`Action.rank` by place in `ACTIONS`."""


class CandidateCases(NamedTuple):
    """Questions in order of time whose answer was a candidate; the candidates of a question stand together.

    `rows` (candidates, `FEATURES`), best of the recent sessions first; `sizes` and `target` (questions,): how
    many candidates there are, and the place of the one that came next among them. `blended` (questions,) is
    its rank, from 1, in the mean of sessions and network. `asked` counts all questions.
    """

    rows: npt.NDArray[np.float32]
    sizes: Ints
    target: Ints
    blended: Ints
    asked: int

    def __len__(self) -> int:
        return len(self.sizes)

    def split(self, share: float) -> "tuple[CandidateCases, CandidateCases]":
        """The earlier questions, and the latest share of them."""
        border = len(self) - round(share * len(self))
        at = int(self.sizes[:border].sum())
        asked = round(self.asked * border / max(1, len(self)))
        return (
            CandidateCases(
                self.rows[:at], self.sizes[:border], self.target[:border], self.blended[:border], asked
            ),
            CandidateCases(
                self.rows[at:],
                self.sizes[border:],
                self.target[border:],
                self.blended[border:],
                self.asked - asked,
            ),
        )


def replay_candidates(
    actions: Sequence[tuple[str, Action]],
    first: int,
    model: SessionModel,
    *,
    idle_ms: int,
    most: int,
    on_question: Callable[[], None] = lambda: None,
) -> CandidateCases:
    """At most `most` questions, evenly from the actions from place `first` on.

    `actions` are of visitors, in order of time, each with a product. It is asked what the live path would be
    asked right after the visitor's action before: the index has what happened until then, and the `model`
    must have learnt from nothing later than `first`.
    """
    wanted = set(np.linspace(first, len(actions) - 1, min(most, len(actions) - first)).astype(int).tolist())
    shop, pasts = ReplayedShop(idle_ms=idle_ms), Pasts(idle_ms)
    found: list[tuple[npt.NDArray[np.float32], int, int]] = []
    asked = 0
    for place, (visitor, action) in enumerate(actions):
        past = pasts.before(visitor, action.at_ms)
        if past.session and place in wanted:
            asked += 1
            on_question()
            case = _ask(shop, past, action.product_id, model)
            if case is not None:
                found.append(case)
        past.add(action)
        shop.learn(past, action)
    rows = [rows for rows, _, _ in found]
    return CandidateCases(
        np.concatenate(rows) if rows else np.zeros((0, len(FEATURES)), np.float32),
        np.array([len(one) for one in rows], np.int64),
        np.array([target for _, target, _ in found], np.int64),
        np.array([blended for _, _, blended in found], np.int64),
        asked,
    )


def actions_of_sessions(sessions: Sessions, ids: npt.NDArray[np.str_]) -> list[tuple[str, Action]]:
    """What was done in sessions whose visitors are not known, each of another one, in order of time.

    Where the times are not known either, one session comes an hour after the other, and each happens in one
    moment, so that nothing in it fades.
    """
    numbers = sessions.session_of
    at_ms = numbers * _HOUR_MS if sessions.at_ms is None else sessions.at_ms
    order = np.argsort(at_ms, kind="stable")
    done = np.zeros(len(order), np.int8) if sessions.actions is None else sessions.actions
    columns = (at_ms[order], numbers[order], done[order], ids[sessions.items[order]])
    return [
        (str(number), Action(at, _RANKS[what], b"", product_id, 1, None, None, None, None, None))
        for at, number, what, product_id in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _ask(
    shop: ReplayedShop, past: Past, target: str, model: SessionModel
) -> tuple[npt.NDArray[np.float32], int, int] | None:
    """Rows of candidates, the place of the target, and its rank in the blend; None: it is no candidate."""
    now_ms = past.steps[-1].at_ms
    request = RecommendationRequest(
        now_ms=now_ms, visitor_id=past.visitor, prefix=tuple(past.steps[-PREFIX:])
    )
    shop.advance(now_ms)
    ranked = describe_candidates(Asked(shop.index, shop.catalogue, request, CANDIDATES), model)
    names = [] if ranked is None else [product_id for product_id, _ in ranked.found]
    if ranked is None or target not in names:
        return None
    order = ranked.found if ranked.network is None else blend(ranked.found, ranked.network)
    return ranked.rows, names.index(target), 1 + [name for name, _ in order].index(target)
