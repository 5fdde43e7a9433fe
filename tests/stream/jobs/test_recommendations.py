"""Whose recommendations a commit makes stale, and how many of them wait in a worker's memory."""

import pytest
from prometheus_client import CollectorRegistry

from contracts.keys import Keys
from contracts.settings import Settings
from services import unique_settings
from shoppers import NEW, RULES, make_entries, make_event
from stream.batch.result import BatchResult
from stream.batch.step import apply_batch, fire_deadlines
from stream.jobs import triggers as triggers_module
from stream.jobs.job import JobRegistry
from stream.jobs.memory_store import MemoryJobStore
from stream.jobs.metrics import JobMeter
from stream.jobs.recommendations import recommendations_job, touched
from stream.jobs.store import Queue
from stream.jobs.triggers import Triggers
from stream.state.memory_store import MemoryStore

P = 1


def settings_with(interval_s: float) -> Settings:
    return unique_settings("127.0.0.1:1", "redis://127.0.0.1:1", recommendation_interval_s=interval_s)


def batch_of(*visitor_ids: str) -> BatchResult:
    events = [make_event("view", n, user=visitor_id) for n, visitor_id in enumerate(visitor_ids)]
    return apply_batch(NEW, make_entries(events), {}, RULES)


def make_triggers(interval_s: float) -> tuple[Triggers, CollectorRegistry, MemoryJobStore]:
    jobs, registry = JobRegistry(), CollectorRegistry()
    jobs.add(recommendations_job(settings_with(interval_s)))
    return Triggers(jobs, 4, JobMeter(registry)), registry, MemoryJobStore(MemoryStore(Keys("t", 4)))


async def due(store: MemoryJobStore, now_ms: int) -> dict[str, int]:
    heads = await store.peek([P], ["recommendations"], now_ms=now_ms, limit=1_000)
    queue = Queue(P, "recommendations")
    return dict(heads[queue].first) if queue in heads else {}


def test_visitors_with_new_events_are_touched_and_those_whose_silence_ends_are_not() -> None:
    batch = batch_of("u1", "u2", "u1")
    assert set(touched(batch)) == {"u1", "u2"}
    silent = fire_deadlines(batch.clock, batch.clock.max_event_ms + 10**8, ["u1"], batch.visitors, RULES)
    assert silent.visitors
    assert set(touched(silent)) == set()
    batch.waited.add("u2")
    assert set(touched(batch)) == {"u1"}


async def test_a_visitor_waits_once_an_interval_from_the_first_event() -> None:
    triggers, _, store = make_triggers(interval_s=60.0)
    for n in range(5):
        triggers.note(P, batch_of("u1", "u2"))
        await triggers.flush(store, now_ms=1_000 * n)
    assert await due(store, 59_999) == {}
    assert await due(store, 60_000) == {"u1": 60_000, "u2": 60_000}


async def test_without_an_interval_nobody_waits() -> None:
    triggers, _, store = make_triggers(interval_s=0.0)
    triggers.note(P, batch_of("u1"))
    await triggers.flush(store, now_ms=0)
    assert await due(store, 10**9) == {}


async def test_memory_and_queue_have_a_bound_and_what_is_beyond_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(triggers_module, "MAX_HELD", 50)
    triggers, registry, store = make_triggers(interval_s=1.0)
    triggers.note(P, batch_of(*[f"u{n}" for n in range(80)]))
    triggers.note(P, batch_of(*[f"u{n}" for n in range(80)]))
    await triggers.flush(store, now_ms=0)
    assert len(await due(store, 10**9)) == 50
    labels = {"job": "recommendations"}
    assert registry.get_sample_value("storepulse_worker_job_dropped_total", labels) == 30 + 30
