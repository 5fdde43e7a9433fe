"""The benchmark of the pure steps measures all events it was given."""

import pytest

from benchmarks.core import STEPS, make_partition_logs, measure_blobs, measure_core
from benchmarks.shop_log import make_events
from contracts.events import decode, encode
from contracts.partitioning import partition_of
from contracts.settings import Settings
from stream.batch.core import PYTHON
from stream.registry import make_registry


@pytest.mark.parametrize("batch", [8, 4_000])
def test_every_event_goes_through_every_step(batch: int) -> None:
    row = measure_core(Settings(), PYTHON, events=500, batch=batch)
    assert row.events == 500
    assert set(row.us) == set(STEPS)
    assert all(us > 0 for us in row.us.values())
    assert 0 < row.visitor_writes <= 1


def test_states_of_visitors_have_a_size() -> None:
    assert measure_blobs(Settings(), PYTHON, events=500).size_bytes > 0


def test_the_log_keeps_the_contract_and_the_order_of_time() -> None:
    events = list(make_events(2_000, first_ms=1_700_000_000_000, step_ms=1.0, seed=3))
    times = [event.event_time_ms for event in events]
    assert times == sorted(times)
    for event in events:
        assert decode(encode(event), received_ms=event.event_time_ms, default_currency="EUR") == event


def test_the_same_seed_gives_the_same_log() -> None:
    def log(seed: int) -> list[bytes]:
        return [
            encode(event) for event in make_events(100, first_ms=1_700_000_000_000, step_ms=1.0, seed=seed)
        ]

    assert log(3) == log(3)
    assert log(3) != log(4)


def test_a_visitor_has_one_partition() -> None:
    for share in make_partition_logs(make_registry(Settings()), 500, 12):
        for _, record in share.records:
            assert partition_of(record.key.decode(), 12) == share.part.number


def test_new_visitors_never_come_twice() -> None:
    events = make_events(300, first_ms=1_700_000_000_000, step_ms=1.0, seed=3, visitors=None)
    assert len({event.user_id for event in events}) == 300
