"""The part of `/v1/models` about versions that the learner judges by the sessions that come."""

import math
from collections.abc import Mapping

from api.resources.models import schemas
from models.lifecycle.standings import Standing, read_standing
from models.lifecycle.store import ModelStore
from models.lifecycle.verdicts import interval_of
from readers.intervals import to_datetime


def read_judged(store: ModelStore) -> list[schemas.JudgedSlot]:
    """Every slot with a file in the store, by name; blocks."""
    found = [read_standing(store.slot_folder(slot)) for slot in store.slots()]
    return [_slot(standing) for standing in found if standing is not None]


def _slot(standing: Standing) -> schemas.JudgedSlot:
    sums = standing.sums
    interval = interval_of(sums.sessions, sums.difference, sums.square)
    is_pair = bool(standing.other)
    return schemas.JudgedSlot(
        slot=standing.slot,
        champion=standing.champion,
        beside=standing.other or None,
        since=to_datetime(standing.after_ms),
        through=to_datetime(standing.through_ms),
        as_of=to_datetime(standing.at_ms),
        sessions=sums.sessions,
        answers=sums.answers,
        champion_losses=_means(standing, sums.champion),
        beside_losses=_means(standing, sums.other) if is_pair else None,
        base_loss=sums.constant_loss,
        difference=interval.mean if is_pair and sums.sessions else None,
        low=_finite(interval.low) if is_pair else None,
        high=_finite(interval.high) if is_pair else None,
    )


def _means(standing: Standing, losses: tuple[float, ...]) -> Mapping[str, float]:
    answers = standing.sums.answers
    return {name: loss / answers for name, loss in zip(standing.tasks, losses, strict=False)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
