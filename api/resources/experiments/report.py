"""The answer of `/v1/experiments`: alerts whose time is over, and recommendations."""

from dataclasses import asdict

from api.resources.experiments import schemas
from api.resources.experiments.groups import LEAST_PER_ARM, sample_ratio
from api.resources.experiments.recommended import say_recommendations
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
        exposures = await self._reader.sum_exposures("day", starts)
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
            recommendations=say_recommendations(exposures, settings),
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


def _missing(told: int, held_out: int, share: float) -> str:
    if not share and not held_out:
        return "no visitor is held out: set STOREPULSE_ALERT_HOLD_OUT"
    fewest = min(told, held_out)
    if fewest >= LEAST_PER_ARM:
        return ""
    group = "held out" if held_out <= told else "told"
    return f"not enough data yet: {fewest} of at least {LEAST_PER_ARM} alerts of visitors who are {group}"
