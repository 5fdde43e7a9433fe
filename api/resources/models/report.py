"""Which models are at work and how good they are: counters of all partitions, heartbeats, our own model."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from api.http.parts import Part
from api.resources.models import schemas as schemas
from api.resources.models.figures import WindowCounts, figures_of, read_window_counts
from api.resources.models.judged import read_judged
from api.resources.models.learning import report_learning
from api.resources.models.slots import drifts_of, report_slots
from api.resources.predictions.next_action_model import NextActionModel
from contracts.clock import wall_clock_ms
from contracts.heartbeat import NEXT_ACTION, Heartbeat
from models.lifecycle.store import ModelStore
from models.quality import NO_MODEL, add_up, by_version
from readers.intervals import to_datetime
from readers.learned import read_learned
from readers.reader import Counts, Reader
from readers.shared_answer import SharedAnswer

MODELS_AGE_S = 2.0
"""An answer this old is given again: its figures are of minutes."""
_NAMED = 3
"""Workers whose trouble is told; more would make a line nobody reads."""


class ModelsReport(SharedAnswer[schemas.ModelReport]):
    """The answer of `/v1/models`, shared by all who ask within `MODELS_AGE_S`."""

    def __init__(self, reader: Reader, own: NextActionModel) -> None:
        super().__init__(partial(read_models, reader, own), max_age_s=MODELS_AGE_S)


async def read_models(reader: Reader, own: NextActionModel) -> schemas.ModelReport:
    """The answer of `/v1/models`."""
    time = await reader.stream_time()
    model, workers = await asyncio.gather(own.find(), reader.heartbeats(now_ms=wall_clock_ms()))
    found = await read_window_counts(reader, time.as_of_ms)
    by_window, settled = found.slots, found.settled
    counts = {window: by_version(slots.get("", {})) for window, slots in by_window.items()}
    known = {worker.model for worker in workers} | ({model.version} if model else set())
    slots = report_slots(by_window, settled, workers)
    learning = report_learning(await read_learned(reader, NEXT_ACTION))
    judged = await asyncio.to_thread(read_judged, ModelStore(Path(reader.settings.model_store)))
    return schemas.ModelReport(
        **({"slots": slots} if slots else {}),
        **({"judged": judged} if judged else {}),
        **({"learning": learning} if learning else {}),
        as_of=to_datetime(time.as_of_ms),
        mode=time.mode,
        scoring=judge_scoring(workers, own.trouble),
        together={
            window: figures_of(found, window, add_up(versions.values()), None)
            for window, versions in counts.items()
        },
        models=_models(found, counts, known - {""}),
        workers=[_worker(worker) for worker in workers],
        api=_own(own),
    )


def judge_scoring(workers: Sequence[Heartbeat], own_trouble: str) -> Part:
    """Degraded where visitors are not scored or a model was refused; figures go on being right without it."""
    troubles = [f"{w.worker_id}: {_say_scoring(w.scoring)}" for w in workers if w.scoring != "ok"]
    if len(troubles) > _NAMED:
        troubles[_NAMED:] = [f"{len(troubles) - _NAMED} more workers"]
    if not workers:
        troubles.append("no worker scores visitors")
    elif not any(worker.model for worker in workers):
        troubles[0] = f"no visitor is scored: {troubles[0]}"
    if own_trouble:
        troubles.append(f"API: {own_trouble}")
    if troubles:
        return Part(status="degraded", detail="; ".join(troubles))
    versions = sorted({worker.model for worker in workers})
    return Part(status="ok", detail=f"visitors are scored by {' and '.join(versions)}")


def _say_scoring(scoring: str) -> str:
    return "no model is loaded" if scoring == "off" else scoring


def _models(
    found: WindowCounts, counts: Mapping[schemas.Window, Mapping[str, Counts]], known: Iterable[str]
) -> list[schemas.ModelFigures]:
    versions = set(known).union(*counts.values())
    models = [
        schemas.ModelFigures(
            version=None if version == NO_MODEL else version,
            windows={
                window: figures_of(found, window, sums.get(version, {}), version)
                for window, sums in counts.items()
            },
        )
        for version in sorted(versions)
    ]
    return sorted(models, key=lambda model: -model.windows["24h"].next_action.n)


def _worker(heartbeat: Heartbeat) -> schemas.ScoringWorker:
    return schemas.ScoringWorker(
        worker_id=heartbeat.worker_id,
        heard_at=to_datetime(heartbeat.at_ms),
        model=heartbeat.model or None,
        scoring=heartbeat.scoring,
        scored=heartbeat.scored,
        skipped=heartbeat.skipped,
        left_out=next((dict(own.left_out) for own in heartbeat.slots if own.slot == NEXT_ACTION), {}),
        drift=drifts_of(heartbeat.drift),
    )


def _own(own: NextActionModel) -> schemas.OwnModel:
    model, card = own.host.model, None
    if model is not None:
        card = schemas.CardSummary(
            training=model.card.training,
            metrics=model.card.metrics,
            config=model.card.config,
            libraries=model.card.libraries,
            licence=model.card.licence,
        )
    return schemas.OwnModel(
        version=None if model is None else model.version, trouble=own.trouble or None, card=card
    )
