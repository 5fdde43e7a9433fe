"""The job: views of a product today, summed over all partitions."""

from collections.abc import Iterable
from typing import Any

from contracts.buckets import Metric, bucket_start
from contracts.subjects import Subject, SubjectKind
from counting_jobs.contracts import TOPIC
from stream.batch.result import BatchResult
from stream.jobs.job import DerivedJob, JobContext
from stream.registry import Registry

NAME = "views"


def register(registry: Registry) -> None:
    """Register the job."""
    registry.jobs.add(
        DerivedJob(
            NAME, SubjectKind.PRODUCT, count_views, products_of, ttl_s=3_600, topic=TOPIC, interval_s=0.2
        )
    )


def count_views(context: JobContext, subject: Subject) -> Any:
    """The count of each product is kept in the partitions of its visitors."""
    day_ms = bucket_start(context.made_ms, "day")
    pipe = context.redis.pipeline(transaction=False)
    for p in range(context.settings.partitions):
        pipe.hget(context.keys.product_bucket(p, "day", day_ms), f"{Metric.VIEWS}:{subject.id}")
    return {"views": sum(int(number or 0) for number in pipe.execute())}


def products_of(result: BatchResult) -> Iterable[str]:
    """The products in the batch's new actions."""
    return {product_id for kinds in result.counts.minutes.values() for ids in kinds for product_id in ids}
