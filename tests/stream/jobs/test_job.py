"""What may be registered as a job."""

from typing import Any

import pytest

from contracts.topics import Topics, register_output_topic
from sample_jobs import describe, fail, make_job
from stream.jobs.job import InvalidJob, JobRegistry


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Stock of 1"}, "a job's name must match .* got 'Stock of 1'"),
        ({"run": lambda *_: None}, "run must be a function of an importable module, got .*<lambda>"),
        ({"limit_s": 0}, "limit_s must be above 0, got 0"),
        ({"refresh_s": 0.5, "interval_s": 1.0}, r"refresh_s must be 0 or at least interval_s, got 0\.5"),
    ],
)
def test_a_job_that_cannot_work_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJob, match=message):
        make_job(**{"run": describe, "name": "stock", **fields})


def test_names_and_topics_are_of_one_job_each() -> None:
    register_output_topic("stock")
    jobs = JobRegistry()
    jobs.add(make_job(describe, topic="stock"))
    with pytest.raises(InvalidJob, match="two jobs with the name 'describe'"):
        jobs.add(make_job(describe))
    with pytest.raises(InvalidJob, match="job fail: the topic 'stock' is that of describe"):
        jobs.add(make_job(fail, topic="stock"))
    with pytest.raises(InvalidJob, match="the topic 'unknown' is not registered"):
        jobs.add(make_job(fail, topic="unknown"))
    assert [job.name for job in jobs] == ["describe"]
    assert jobs["describe"].topic == "stock"


@pytest.mark.parametrize("name", ["view", "alerts", "rejected", "deletions", "", "a b", "A"])
def test_a_topic_of_ours_is_none_for_snapshots(name: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        register_output_topic(name)
    assert name not in Topics().outputs
