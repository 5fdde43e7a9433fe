"""What a candidate must pass before it may run in the shadow of the champion."""

import math
import time
from typing import Any

import numpy as np

from models.artefacts.source import ArtefactFolder
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
    trainer: AnyTrainer, candidate: ArtefactFolder[Any], champion: Any, data: Any
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
        slower = _times_slower(trainer, model, champion, data)
    except Exception as exc:  # whatever it does
        raise Unfit(f"it cannot be asked: {exc}") from exc
    figures = _figures(held_out)
    figures["times_slower"] = round(slower, 2)
    _require_better(held_out)
    if slower > MOST_TIMES_SLOWER:
        limit = f"at most {MOST_TIMES_SLOWER:g} are allowed"
        raise Unfit(f"it takes {slower:.1f} times as long as the champion, {limit}")
    return figures


def _require_better(held_out: HeldOut) -> None:
    n = len(held_out.model)
    if n < FEWEST_SESSIONS:
        raise Unfit(f"too few new sessions to judge it by (needs {FEWEST_SESSIONS:,}, has {n:,})")
    if not (np.isfinite(held_out.model).all() and np.isfinite(held_out.base_rates).all()):
        raise Unfit("it says what is no probability")
    difference = held_out.model - held_out.base_rates
    mean, high = difference.mean(), difference.mean() + _Z * difference.std(ddof=1) / math.sqrt(n)
    if high >= 0:
        raise Unfit(f"not better than base rates in the newest {n:,} sessions: {mean:+.4f} nats a session")


def _figures(held_out: HeldOut) -> dict[str, float | int]:
    n = len(held_out.model)
    return {
        "held_out_sessions": n,
        "loss": round(float(held_out.model.mean()), 6) if n else 0.0,
        "base_rate_loss": round(float(held_out.base_rates.mean()), 6) if n else 0.0,
    }


def _times_slower(trainer: AnyTrainer, model: Any, champion: Any, data: Any) -> float:
    """Processor time of the fastest call, by the champion's: other work on the machine matters little."""
    took: tuple[list[int], list[int]] = ([], [])
    for _ in range(_CALLS):
        for asked, own in ((champion, took[0]), (model, took[1])):
            began = time.thread_time_ns()
            trainer.ask(asked, data)
            own.append(time.thread_time_ns() - began)
    return min(took[1]) / max(1, min(took[0]))
