"""From the sessions of a shop to the artefact of a session network: the whole training as one function."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.next_item.sessions import ACTIONS, Sessions
from models.next_item.training.cases import cases_of
from models.next_item.training.export import Artefact, make_artefact
from models.next_item.training.fit import Epoch, Fitted, fit_net
from models.next_item.training.net_config import LOSSES, NET_KINDS, FitConfig, Loss, NetConfig, NetKind


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to train. `threads` are torch's: another number may give other weights."""

    net: NetConfig
    fit: FitConfig
    seed: int = 1
    threads: int = 1
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Trained:
    """An artefact ready to be written, and how the training went."""

    artefact: Artefact
    fitted: Fitted


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
    origin: str = "",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train on sessions whose item `i` has the name `ids[i]`; raises `ValueError` where there are too few.

    `origin` says in words where they come from; the card has it beside a digest of the sessions.
    """
    fitted = fit_net(
        sessions, recipe.net, recipe.fit, seed=recipe.seed, threads=recipe.threads, on_epoch=on_epoch
    )
    cases = cases_of(sessions, recipe.net.length)
    training: dict[str, Any] = {
        "origin": origin,
        "sha256": _digest(sessions, ids),
        "sessions": sessions.n_sessions,
        "events": len(sessions.items),
        "items": sessions.n_items,
        "prefixes": len(cases),
        "seed": recipe.seed,
        "threads": recipe.threads,
    }
    artefact = make_artefact(
        fitted, ids, cases, config={"fit": asdict(recipe.fit)}, training=training, licence=recipe.licence
    )
    return Trained(artefact, fitted)


def _digest(sessions: Sessions, ids: npt.NDArray[np.str_]) -> str:
    digest = hashlib.sha256("\n".join(ids.tolist()).encode())
    for part in (sessions.items, sessions.starts, sessions.actions):
        if part is not None:
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
