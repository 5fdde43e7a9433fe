"""What a candidate must pass before it may run in the shadow of the champion."""

import math
import time
from typing import Any

import numpy as np

from models.artefacts.source import ModelSource
from models.lifecycle.trainer import AnyTrainer, HeldOut

FEWEST_SESSIONS = 100
"""Sessions of the newest part below which nothing can be said."""
MOST_TIMES_SLOWER = 5.0
"""A candidate may take so many times as long as the champion."""
_CALLS = 15
_Z = 1.96


class Unfit(ValueError):
    """A candidate that must not be used; the message says why."""


def check_candidate(
    trainer: AnyTrainer, candidate: ModelSource[Any], champion: Any, data: Any
) -> dict[str, float | int]:
    """The figures of a candidate that may be used; raises `Unfit`.

    Its golden outputs and the names of its inputs are checked where it is loaded. `champion` is a loaded
    model. Base rates are to be beaten for sure, not by chance: a model of shuffled labels is about as good.
    """
    try:
        model = candidate.load()
    except Exception as exc:  # whatever is wrong with it
        raise Unfit(f"it cannot be loaded: {exc}") from exc
    try:
        held_out = trainer.examine(model, data)
        slower, took_s = _times_slower(trainer, model, champion, data)
    except Exception as exc:  # whatever it does
        raise Unfit(f"it cannot be asked: {exc}") from exc
    figures = _figures(held_out)
    figures["times_slower"] = round(slower, 2)
    _require_better(held_out)
    if slower > MOST_TIMES_SLOWER and took_s > trainer.fast_enough_s:
        limit = f"at most {MOST_TIMES_SLOWER:g} are allowed"
        raise Unfit(f"it takes {slower:.1f} times as long as the champion, {limit}")
    return figures


def _require_better(held_out: HeldOut) -> None:
    n = len(held_out.model)
    if n < FEWEST_SESSIONS:
        raise Unfit(f"too few new sessions to judge it by (needs {FEWEST_SESSIONS:,}, has {n:,})")
    losses = [held_out.model, held_out.base_rates, *held_out.others.values()]
    if not all(np.isfinite(own).all() for own in losses):
        raise Unfit("it says what is no probability")
    for name, own in {"base rates": held_out.base_rates, **held_out.others}.items():
        difference = held_out.model - own
        mean, high = difference.mean(), difference.mean() + _Z * difference.std(ddof=1) / math.sqrt(n)
        if high >= 0:
            raise Unfit(f"not better than {name} in the newest {n:,} sessions: {mean:+.4f} a session")


def _figures(held_out: HeldOut) -> dict[str, float | int]:
    named = {"loss": held_out.model, "base_rate_loss": held_out.base_rates}
    named |= {f"{name.replace(' ', '_')}_loss": losses for name, losses in held_out.others.items()}
    means = {name: round(float(own.mean()), 6) if len(own) else 0.0 for name, own in named.items()}
    return {"held_out_sessions": len(held_out.model), **means}


def _times_slower(trainer: AnyTrainer, model: Any, champion: Any, data: Any) -> tuple[float, float]:
    """Processor time of the fastest call, by the champion's, and in s: other work hardly matters then."""
    took: tuple[list[int], list[int]] = ([], [])
    for _ in range(_CALLS):
        for asked, own in ((champion, took[0]), (model, took[1])):
            began = time.thread_time_ns()
            trainer.ask(asked, data)
            own.append(time.thread_time_ns() - began)
    return min(took[1]) / max(1, min(took[0])), min(took[1]) / 1e9
