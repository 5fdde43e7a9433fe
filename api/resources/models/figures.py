"""The figures of a window: the sums of its counters, less what cannot be judged yet."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

from api.resources.models import schemas
from api.resources.models.windows import (
    WINDOWS,
    alert_life_ms,
    say_cohort,
    say_early,
    settled_starts,
    window_starts,
)
from contracts.alerts import find_kind, kind_names
from contracts.settings import Settings
from models.quality import (
    Quality,
    add_up,
    alert_figures,
    by_version,
    cohort_counts,
    next_action_figures,
    purchase_figures,
)
from models.slot_quality import by_slot
from models.sufficiency import Cohort, Missing, judge_alerts, no_end_judges, withhold_early
from readers.alerts.kinds import AlertKind
from readers.reader import Counts, Reader

BySlot = Mapping[str, Counts]
_BY_END = ("precision", "recall", "base_rate")


class WindowCounts(NamedTuple):
    """Counters of each window, by slot, and what says whether they can be judged.

    `settled` are those of the time in which something must have been judged, `cohorts` those of the newest
    windows whose alerts have all had their time, by how long that is (ms).
    """

    settings: Settings
    slots: Mapping[schemas.Window, BySlot]
    settled: Mapping[schemas.Window, BySlot]
    cohorts: Mapping[tuple[schemas.Window, int], BySlot]


async def read_window_counts(reader: Reader, as_of_ms: int) -> WindowCounts:
    """The counters of all windows at this moment of the stream; raises `redis.RedisError`."""
    lives_ms = sorted({alert_life_ms(kind, reader.settings) for kind in kind_names()})
    cohorts = [(window, life_ms) for window in WINDOWS for life_ms in lives_ms]
    wanted = [(window, window_starts(window, as_of_ms)) for window in WINDOWS]
    wanted += [(window, settled_starts(window, as_of_ms)) for window in WINDOWS]
    wanted += [(window, window_starts(window, as_of_ms, ago_ms=life_ms)) for window, life_ms in cohorts]
    sums = await asyncio.gather(
        *(reader.sum_quality(WINDOWS[window].grain, starts) for window, starts in wanted)
    )
    found, n = [by_slot(fields) for fields in sums], len(WINDOWS)
    return WindowCounts(
        reader.settings,
        dict(zip(WINDOWS, found[:n], strict=True)),
        dict(zip(WINDOWS, found[n : 2 * n], strict=True)),
        dict(zip(cohorts, found[2 * n :], strict=True)),
    )


def figures_of(
    found: WindowCounts, window: schemas.Window, counts: Counts, version: str | None
) -> schemas.Figures:
    """The figures from the sums of a window of one model version, or of all together for None."""
    next_action = next_action_figures(_of_version(found.settled[window], version))
    early = say_early(window, is_settled=next_action.n > 0)
    actions, actions_missing = withhold_early(next_action_figures(counts), early)
    purchase, purchase_missing = withhold_early(purchase_figures(counts), early)
    return schemas.Figures(
        next_action=schemas.NextActionFigures(
            **asdict(actions) | {"reliability": _points(actions.reliability)}, missing=actions_missing
        ),
        purchase=schemas.PurchaseFigures(
            **asdict(purchase) | {"reliability": _points(purchase.reliability)}, missing=purchase_missing
        ),
        alerts={AlertKind(kind): _alerts(found, window, counts, version, kind) for kind in kind_names()},
    )


def _alerts(
    found: WindowCounts, window: schemas.Window, counts: Counts, version: str | None, kind: str
) -> schemas.AlertFigures:
    figures, spec = alert_figures(counts, kind), find_kind(kind)
    missing: Missing
    if spec is None or not spec.judged_by_end:
        missing = no_end_judges(figures, _BY_END)
    else:
        life_ms = alert_life_ms(kind, found.settings)
        ended = cohort_counts(_of_version(found.cohorts[window, life_ms], version), kind)
        cohort = Cohort(*ended, say_cohort(window, life_ms))
        lost, bought = counts.get(Quality.LOST, 0), counts.get(Quality.BOUGHT, 0)
        figures, missing = judge_alerts(figures, cohort, lost=lost, carts=lost + bought)
    return schemas.AlertFigures(**asdict(figures), missing=missing)


def _of_version(slots: BySlot, version: str | None) -> Counts:
    versions = by_version(slots.get("", {}))
    return add_up(versions.values()) if version is None else versions.get(version, {})


def _points(points: tuple[object, ...]) -> list[schemas.Point]:
    return [schemas.Point.model_validate(point) for point in points]
