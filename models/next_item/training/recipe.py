"""From the sessions of a shop to the artefact of a session network: the whole training as one function."""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.visitor import Action
from models.next_item.cases import known_cases_of
from models.next_item.network import VALIDATED, SessionNetwork
from models.next_item.served import ServedNetwork
from models.next_item.sessions import ACTIONS, Sessions, split_by_time
from models.next_item.training.candidate_cases import actions_of_sessions
from models.next_item.training.export import Artefact, make_artefact
from models.next_item.training.fit import VALID_SHARE, Epoch, Fitted, fit_net
from models.next_item.training.net_config import LOSSES, NET_KINDS, FitConfig, Loss, NetConfig, NetKind
from models.next_item.training.ranker import Ranker, RankerConfig, train_ranker


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train. `threads` are torch's: another number may give other weights.

    `ranker` None: only the network. `idle_ms` is the pause that ends a session where the past is replayed.
    """

    net: NetConfig
    fit: FitConfig
    seed: int = 1
    threads: int = 1
    licence: str = ""
    ranker: RankerConfig | None = None
    idle_ms: int = 30 * 60_000


@dataclass(frozen=True, slots=True)
class Trained:
    """An artefact ready to be written, and how the training went.

    `validated`, after a refit: the artefact of the network that has not learnt from the newest tenth.
    """

    artefact: Artefact
    fitted: Fitted
    validated: Artefact | None = None

    def write(self, folder: Path) -> None:
        """The artefact into a folder, and what is validated into one inside it."""
        self.artefact.write(folder)
        if self.validated is not None:
            self.validated.write(folder / VALIDATED)


def kind_of(name: str) -> NetKind:
    """The kind of network with a name; raises `ValueError` for any other."""
    for kind in NET_KINDS:
        if kind == name:
            return kind
    raise ValueError(f"the kind of network must be one of {', '.join(NET_KINDS)}, got {name!r}")


def loss_of(name: str) -> Loss:
    """The loss with a name; raises `ValueError` for any other."""
    for loss in LOSSES:
        if loss == name:
            return loss
    raise ValueError(f"the loss must be one of {', '.join(LOSSES)}, got {name!r}")


def action_weights(cart: float, purchase: float) -> tuple[float, ...]:
    """Weights of targets by the code of their action, in `ACTIONS`; a view counts 1."""
    by_action = {"view": 1.0, "cart": cart, "purchase": purchase}
    return tuple(by_action[action] for action in ACTIONS)


def train(
    sessions: Sessions,
    ids: npt.NDArray[np.str_],
    recipe: Recipe,
    *,
    actions: Sequence[tuple[str, Action]] | None = None,
    origin: str = "",
    on_epoch: Callable[[Epoch], None] | None = None,
    on_question: Callable[[], None] = lambda: None,
) -> Trained:
    """Train on sessions whose item `i` has the name `ids[i]`; raises `ValueError` where there are too few.

    `actions` are what the sessions were made of, with visitors, in order of time: a ranker then learns from
    categories, prices and earlier sessions too. None: nothing but the sessions is known. `origin` says in
    words where they come from; the card has it beside a digest of the sessions.
    """
    fitted = fit_net(
        sessions, recipe.net, recipe.fit, seed=recipe.seed, threads=recipe.threads, on_epoch=on_epoch
    )

    def artefact_of(part: Fitted, learnt: Sessions) -> Artefact:
        cases = known_cases_of(learnt, recipe.net.length)
        training: dict[str, Any] = {
            "origin": origin,
            "sha256": _digest(learnt, ids),
            "sessions": learnt.n_sessions,
            "events": len(learnt.items),
            "items": learnt.n_items,
            "prefixes": len(cases),
            "seed": recipe.seed,
            "threads": recipe.threads,
            **({} if learnt.at_ms is None else {"until_ms": int(learnt.at_ms.max())}),
        }
        return make_artefact(
            part, ids, cases, config={"fit": asdict(recipe.fit)}, training=training, licence=recipe.licence
        )

    early = None
    if fitted.validated is not None:
        early = artefact_of(fitted.validated, split_by_time(sessions, VALID_SHARE)[0])
    made = artefact_of(fitted, sessions)
    if recipe.ranker is not None:
        ranker = _rank(sessions, ids, early or made, recipe, recipe.ranker, actions, on_question)
        if ranker is not None:
            made = made.with_ranker(*ranker)
    return Trained(made, fitted, early)


def _rank(
    sessions: Sessions,
    ids: npt.NDArray[np.str_],
    early: Artefact,
    recipe: Recipe,
    config: RankerConfig,
    actions: Sequence[tuple[str, Action]] | None,
    on_question: Callable[[], None],
) -> Ranker | None:
    """A ranker that learns from what `early` has not learnt from, the newest sessions."""
    learnt, later = split_by_time(sessions, VALID_SHARE)
    if actions is None:
        actions = actions_of_sessions(sessions, ids)
    first = len(learnt.items)
    if later.at_ms is not None:
        first = bisect_left(actions, int(later.at_ms[0]), key=lambda one: one[1].at_ms)
    network = ServedNetwork(SessionNetwork(early.model, early.card, early.table))
    return train_ranker(
        actions, first, network, replace(config, seed=recipe.seed), idle_ms=recipe.idle_ms,
        on_question=on_question,
    )  # fmt: skip


def _digest(sessions: Sessions, ids: npt.NDArray[np.str_]) -> str:
    digest = hashlib.sha256("\n".join(ids.tolist()).encode())
    for part in (sessions.items, sessions.starts, sessions.actions):
        if part is not None:
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
