"""The answer of `/v1/experiments`, from the counters of alerts whose time is over."""

import math
from dataclasses import asdict

from api.resources.experiments import schemas
from contracts.alerts import find_kind, kind_names
from contracts.buckets import GRAIN_MS, bucket_start
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from models.quality import add_up, by_version
from models.slot_quality import by_slot
from models.uplift import UpliftFigures, uplift_figures
from readers.alerts.kinds import AlertKind
from readers.intervals import to_datetime
from readers.reader import Reader

LEAST_PER_ARM = 30
"""Alerts of a group below which the normal intervals do not hold."""
SUSPICIOUS = 0.001


class ExperimentsReport:
    """Reads experiments. One instance per process."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def get(self, days: int) -> schemas.Experiments:
        """The answer over so many days; raises `redis.RedisError`."""
        time = await self._reader.stream_time()
        day_ms = GRAIN_MS["day"]
        end_ms = bucket_start(time.as_of_ms, "day") + day_ms
        starts = range(end_ms - days * day_ms, end_ms, day_ms)
        fields = by_slot(await self._reader.sum_quality("day", starts)).get("", {})
        counts = add_up(by_version(fields).values())
        settings = self._reader.settings
        return schemas.Experiments(
            as_of=to_datetime(time.as_of_ms),
            mode=time.mode,
            hold_out=settings.alert_hold_out,
            days=days,
            watch_s=settings.alert_watch_ms // 1_000,
            currency=settings.currency,
            alerts={
                AlertKind(kind): say_uplift(uplift_figures(counts, kind), settings)
                for kind in kind_names()
                if (spec := find_kind(kind)) is not None and SubjectKind.VISITOR in spec.subjects
            },
        )


def say_uplift(figures: UpliftFigures, settings: Settings) -> schemas.Uplift:
    """The figures, less those that there is too little data for."""
    told, held_out = figures.told, figures.held_out
    why = _missing(told.n, held_out.n, settings.alert_hold_out)
    names = ("bought", "revenue_minor")
    differences = {
        name: None if why or found is None else schemas.Difference(**asdict(found))
        for name, found in zip(names, (figures.bought, figures.revenue_minor), strict=True)
    }
    return schemas.Uplift(
        told=schemas.ArmFigures(**asdict(told)),
        held_out=schemas.ArmFigures(**asdict(held_out)),
        sample_ratio=sample_ratio(told.n, held_out.n, settings.alert_hold_out),
        missing=dict.fromkeys(names, why) if why else {},
        **differences,
    )


def sample_ratio(told: int, held_out: int, share: float) -> schemas.SampleRatio | None:
    """Whether the groups fit the share: a chi-squared test with one degree of freedom; None for no groups."""
    n = told + held_out
    if not n or not share:
        return None
    chi_squared = (held_out - n * share) ** 2 / (n * share * (1 - share))
    p_value = math.erfc(math.sqrt(chi_squared / 2))
    return schemas.SampleRatio(
        expected_held_out=share,
        observed_held_out=held_out / n,
        p_value=p_value,
        is_plausible=p_value >= SUSPICIOUS,
    )


def _missing(told: int, held_out: int, share: float) -> str:
    if not share and not held_out:
        return "no visitor is held out: set STOREPULSE_ALERT_HOLD_OUT"
    fewest = min(told, held_out)
    if fewest >= LEAST_PER_ARM:
        return ""
    group = "held out" if held_out <= told else "told"
    return f"not enough data yet: {fewest} of at least {LEAST_PER_ARM} alerts of visitors who are {group}"
