"""One piece of the loop's work, in a process of its own: `-m ops.learning.loop.work train|check SLOT ...`.

It yields to everything else on the machine, and its memory is gone when it ends. What came of it is one line
of JSON on standard output.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from contracts.events import Event
from contracts.priority import lower_priority
from contracts.settings import Settings, get_settings
from models.lifecycle.checks import Unfit, check_candidate
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.sources import Versions
from models.lifecycle.store import ModelStore
from models.lifecycle.trainer import AnyTrainer
from ops.learning.loop.trainers import find_trainers
from sources import Rejected, Source, UnknownFormat

MOST_EVENTS = 300_000
"""Events that are read, the newest: about 2 GB of memory when trees are grown on them."""

_LOOK_S = 0.5


class Came(StrEnum):
    """What came of a piece of work."""

    MADE = "made"
    TOO_LITTLE = "too little"
    FIT = "fit"
    UNFIT = "unfit"


def main(argv: list[str]) -> int:
    """Do it; the exit code is 0 if something can be said."""
    _end_with_parent()
    _yield_to_others()
    settings = get_settings()
    work, slot, *rest = argv
    trainer = find_trainers(settings)[slot]
    try:
        found = _train(trainer, settings) if work == "train" else _check(trainer, settings, *rest)
    except (OSError, UnknownFormat) as exc:
        found = {"came": Came.TOO_LITTLE, "reason": f"the events cannot be read: {exc}"}
    sys.stdout.buffer.write(orjson.dumps(found) + b"\n")
    return 0


def _train(trainer: AnyTrainer, settings: Settings) -> dict[str, Any]:
    data = trainer.read(_events(settings), settings)
    n = trainer.count(data)
    if n < trainer.needs:
        reason = f"not enough data yet (needs {trainer.needs:,} {trainer.counted}, has {n:,})"
        return {"came": Came.TOO_LITTLE, "reason": reason}
    try:
        made = trainer.train(data)
    except ValueError as exc:
        return {"came": Came.TOO_LITTLE, "reason": str(exc)}
    ModelStore(Path(settings.model_store)).put(trainer.slot, *made)
    return {"came": Came.MADE, "version": made.card.version, "figures": {trainer.counted: n}}


def _check(trainer: AnyTrainer, settings: Settings, version: str, champion: str) -> dict[str, Any]:
    """Check a version in the store; `champion` is the one to be as fast as."""
    store = ModelStore(Path(settings.model_store))
    versions = Versions(trainer.slot, trainer.source(settings), Lifecycle(), store)
    candidate = trainer.source(settings).at(store.place(trainer.slot, version))
    data = trainer.read(_events(settings), settings)
    try:
        figures = check_candidate(trainer, candidate, versions.source_of(champion).load(), data)
    except Unfit as exc:
        return {"came": Came.UNFIT, "reason": str(exc)}
    return {"came": Came.FIT, "figures": figures}


def _events(settings: Settings) -> Iterator[Event]:
    """The newest events that are kept, in order of time."""
    with Source(Path(settings.learn_events), currency=settings.currency) as source:
        for event in source.read(max(0, source.n_rows - MOST_EVENTS)):
            if not isinstance(event, Rejected):
                yield event


def _end_with_parent() -> None:
    """End soon after whoever asked for the work, who may have been killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _yield_to_others() -> None:
    """Run only where nothing else wants to, with one thread."""
    lower_priority(19)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(name, "1")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
