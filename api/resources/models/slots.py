"""The part of `/v1/models` about the models of other slots than the next action's."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from api.resources.models import schemas
from api.resources.models.windows import say_early
from contracts.heartbeat import NEXT_ACTION, Heartbeat
from models.drift import MIN_NUMBERS, drift_from_text
from models.quality import by_version
from models.slot_quality import SlotQuality, slot_figures
from models.sufficiency import withhold_early
from readers.intervals import to_datetime
from readers.reader import Counts

WindowCounts = Mapping[schemas.Window, Mapping[str, Counts]]
"""By window, then by slot."""

_log = logging.getLogger(__name__)


def report_slots(
    counts: WindowCounts, settled: WindowCounts, workers: Sequence[Heartbeat]
) -> list[schemas.SlotModels]:
    """Every slot that a worker reports or that has counters, by name.

    `settled` has the counters of the time from which there must be some for a window to be judged.
    """
    names = {name for slots in counts.values() for name in slots}
    names |= {slot.slot for worker in workers for slot in worker.slots}
    return [_slot(name, counts, settled, workers) for name in sorted(names - {"", NEXT_ACTION})]


def drifts_of(lines: Sequence[str]) -> list[schemas.Drift]:
    """The states of detectors in a heartbeat, those that are understood."""
    return [drift for line in lines if (drift := _drift(line))]


def _slot(
    name: str, counts: WindowCounts, settled: WindowCounts, workers: Sequence[Heartbeat]
) -> schemas.SlotModels:
    reports = [(worker.worker_id, slot) for worker in workers for slot in worker.slots if slot.slot == name]
    windows = {window: by_version(slots.get(name, {})) for window, slots in counts.items()}
    versions = {slot.model for _, slot in reports if slot.model}.union(*windows.values())
    found = [
        schemas.SlotVersion(
            version=version,
            windows={
                window: _figures(sums.get(version, {}), settled[window].get(name, {}), version, window)
                for window, sums in windows.items()
            },
        )
        for version in sorted(versions)
    ]
    return schemas.SlotModels(
        slot=name,
        models=sorted(found, key=lambda model: -model.windows["24h"].n),
        workers=[
            schemas.SlotWorker(
                worker_id=worker_id,
                model=slot.model or None,
                state=slot.state,
                scored=slot.scored,
                skipped=slot.skipped,
                left_out=dict(slot.left_out),
                drift=drifts_of(slot.drift),
            )
            for worker_id, slot in reports
        ],
    )


def _figures(sums: Counts, settled: Counts, version: str, window: schemas.Window) -> schemas.SlotFigures:
    is_settled = bool(by_version(settled).get(version, {}).get(SlotQuality.JUDGED))
    figures, missing = withhold_early(slot_figures(sums), say_early(window, is_settled=is_settled))
    return schemas.SlotFigures(**asdict(figures), missing=missing)


def _drift(line: str) -> schemas.Drift | None:
    try:
        state = drift_from_text(line)
    except ValueError as exc:  # a worker of another version must not take the answers down
        _log.warning("cannot read a worker's drift state: %s", exc)
        return None
    return schemas.Drift(
        name=state.name,
        mean=state.mean if state.width >= MIN_NUMBERS else None,
        width=state.width,
        drifts=state.drifts,
        drifted_at=to_datetime(state.drifted_ms) if state.drifted_ms else None,
    )
