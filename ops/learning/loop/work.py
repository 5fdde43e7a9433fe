"""One piece of the loop's work, as a process: `-m ops.learning.loop.work train|check|judge SLOT ...`.

It yields to everything else on the machine, and its memory is gone when it ends. What came of it is one line
of JSON on standard output.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from contracts.clock import wall_clock_ms
from contracts.events import Event
from contracts.priority import lower_priority
from contracts.settings import Settings, get_settings
from models.lifecycle.checks import Unfit, check_candidate
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.sources import Versions
from models.lifecycle.standings import Standing, read_standing, write_standing
from models.lifecycle.store import ModelStore
from models.lifecycle.trainer import AnyTrainer
from ops.learning.loop.trainers import find_trainers
from sources import Rejected, Source, UnknownFormat

MOST_EVENTS = 300_000
"""Events that are read, the newest: about 2 GB of memory when trees are grown on them."""

OF_LATE = 5_000
"""Sessions after which the figures of a champion alone begin anew."""
_LOOK_S = 0.5


class Came(StrEnum):
    """What came of a piece of work."""

    MADE = "made"
    TOO_LITTLE = "too little"
    FIT = "fit"
    UNFIT = "unfit"
    JUDGED = "judged"


def main(argv: list[str]) -> int:
    """Do it; the exit code is 0 if something can be said."""
    _end_with_parent()
    _yield_to_others()
    settings = get_settings()
    work, slot, *rest = argv
    trainer = find_trainers(settings)[slot]
    try:
        found = _WORK[work](trainer, settings, *rest)
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


def _judge(trainer: AnyTrainer, settings: Settings, champion: str, other: str) -> dict[str, Any]:
    """Judge two versions, or the champion alone (`other` is empty), by what came since the last time.

    The first time there is only noted where the events end: nothing that training or checks may have read
    judges.
    """
    store = ModelStore(Path(settings.model_store))
    versions = Versions(trainer.slot, trainer.source(settings), Lifecycle(), store)
    mine = versions.source_of(champion).load()
    theirs = versions.source_of(other).load() if other else None
    newest = Newest(_events(settings))
    data, now_ms = trainer.read(newest, settings), wall_clock_ms()
    before = read_standing(store.slot_folder(trainer.slot))
    end_ms = min(newest.at_ms, now_ms)
    begun = Standing(
        slot=trainer.slot,
        champion=mine.version,
        other="" if theirs is None else theirs.version,
        tasks=trainer.tasks,
        after_ms=end_ms,
        through_ms=end_ms,
        at_ms=now_ms,
        counts={},
    )
    if before is None or before.pair != begun.pair or before.tasks != begun.tasks:
        after = begun
    else:
        if not other and before.sessions >= OF_LATE:
            before = before.begun_anew()
        after = before.add(trainer.judge(mine, theirs, data, before.through_ms), now_ms)
    write_standing(store.slot_folder(trainer.slot), after)
    return {"came": Came.JUDGED, "counts": dict(after.counts)}


_WORK: Mapping[str, Callable[..., dict[str, Any]]] = {"train": _train, "check": _check, "judge": _judge}


class Newest:
    """Events as they come, and the newest time among those that came."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = events
        self.at_ms = 0

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            self.at_ms = max(self.at_ms, event.event_time_ms)
            yield event


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
