"""Forgetting a subject: its snapshots, its places in queues, and its records in the topics of jobs."""

from collections.abc import Iterable, Iterator, Sequence

from contracts.key_families import JOB_QUEUES, snapshot_key
from contracts.subjects import Subject
from contracts.topics import Topics
from stream.jobs.job import DerivedJob
from stream.state.writes import DeleteKeys, RemoveMembers, Value, Write


def forget_subjects(jobs: Iterable[DerivedJob], subjects: Sequence[Subject]) -> Iterator[Write]:
    """What removes all that jobs keep of these subjects; what is being made of one is refused later."""
    for job in jobs:
        ids = [subject.id for subject in subjects if subject.kind is job.kind]
        if ids:
            yield DeleteKeys([snapshot_key(job.name, id_) for id_ in ids])
            yield RemoveMembers(JOB_QUEUES + job.name, ids)


def retractions(
    jobs: Iterable[DerivedJob], subjects: Sequence[Subject], topics: Topics
) -> Iterator[dict[str, Value]]:
    """Entries of the outbox that take back what topics have of these subjects: records without a value."""
    for job in jobs:
        for subject in subjects:
            if job.topic and subject.kind is job.kind:
                yield {
                    "topic": topics.output(job.topic),
                    "key": subject.id.encode(),
                    "id": f"{job.name}-{subject.id}-forgotten",
                    "value": b"",
                }
