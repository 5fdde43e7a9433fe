"""From the sessions of a shop to the artefact of a session network: the whole training as one function."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.next_item.cases import known_cases_of
from models.next_item.network import VALIDATED
from models.next_item.sessions import ACTIONS, Sessions, split_by_time
from models.next_item.training.export import Artefact, make_artefact
from models.next_item.training.fit import VALID_SHARE, Epoch, Fitted, fit_net
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
    origin: str = "",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train on sessions whose item `i` has the name `ids[i]`; raises `ValueError` where there are too few.

    `origin` says in words where they come from; the card has it beside a digest of the sessions.
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
        }
        return make_artefact(
            part, ids, cases, config={"fit": asdict(recipe.fit)}, training=training, licence=recipe.licence
        )

    early = None
    if fitted.validated is not None:
        early = artefact_of(fitted.validated, split_by_time(sessions, VALID_SHARE)[0])
    return Trained(artefact_of(fitted, sessions), fitted, early)


def _digest(sessions: Sessions, ids: npt.NDArray[np.str_]) -> str:
    digest = hashlib.sha256("\n".join(ids.tolist()).encode())
    for part in (sessions.items, sessions.starts, sessions.actions):
        if part is not None:
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
