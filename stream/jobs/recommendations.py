"""Whose recommendations a commit makes stale. Another process makes them (`publishing`)."""

from collections.abc import Iterable

from contracts.recommendations import RECOMMENDATIONS, SNAPSHOT_TTL_S, SNAPSHOT_VERSION
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from stream.batch.result import BatchResult
from stream.jobs.job import DerivedJob


def recommendations_job(settings: Settings) -> DerivedJob:
    """The job, also where nothing is published: a deletion then takes back what was published before."""
    interval_s = settings.recommendation_interval_s
    return DerivedJob(
        RECOMMENDATIONS,
        SubjectKind.VISITOR,
        None,
        touched if interval_s else _nobody,
        SNAPSHOT_TTL_S,
        version=SNAPSHOT_VERSION,
        topic=RECOMMENDATIONS,
        interval_s=interval_s or 1.0,
    )


def touched(result: BatchResult) -> Iterable[str]:
    """Visitors with new events. Of a deadline or a score that came later there is nothing new to show."""
    if not result.counters.get("applied"):
        return ()
    return result.visitors.keys() - result.waited if result.waited else result.visitors


def _nobody(_: BatchResult) -> Iterable[str]:
    return ()
