"""What a worker counts of batches, and of dead letters: by code, and by the senders that name themselves."""

from collections.abc import Iterable

import pytest
from prometheus_client import generate_latest

from contracts.dead_letters import DeadLetter
from shoppers import NEW, NOW_MS
from stream.batch.step import BatchResult, Clock, Entry
from stream.runtime.metrics import Meter


def test_dead_letters_are_counted_by_sender_where_one_is_named() -> None:
    meter, result = Meter(), BatchResult(Clock(0, 0))
    for client in (None, "orders-service", "orders-service"):
        letter = DeadLetter("price.negative", "must not", "cart", 0, 1, b"u", b"{}", 1, client)
        result.letters.append(letter)
    meter.count_records(result)
    shown = generate_latest(meter.registry).decode()
    assert 'storepulse_worker_rejected_total{code="price.negative"} 3.0' in shown
    labels = 'code="price.negative",sender="kafka orders-service"'
    assert f"storepulse_worker_rejected_of_sender_total{{{labels}}} 2.0" in shown
    assert shown.count("rejected_of_sender_total{") == 1


def test_records_are_counted_by_what_became_of_them() -> None:
    meter, result = Meter(), BatchResult(Clock(0, 0), counters={"applied": 3, "forgotten": 1})
    meter.count_batch(entries_after(range(4)), result, now_ms=NOW_MS)
    shown = generate_latest(meter.registry).decode()
    assert 'storepulse_worker_events_total{result="applied"} 3.0' in shown
    assert 'storepulse_worker_events_total{result="forgotten"} 1.0' in shown


def test_visitors_scored_or_not_are_no_records() -> None:
    meter = Meter()
    for counters in ({"applied": 4, "scored": 3, "skipped": 1}, {"scored": 1, "skipped": -1}):
        meter.count_batch(entries_after(range(4)), BatchResult(Clock(0, 0), counters=counters), now_ms=NOW_MS)
    shown = generate_latest(meter.registry).decode()
    assert 'storepulse_worker_events_total{result="applied"} 4.0' in shown
    assert 'result="scored"' not in shown
    assert 'result="skipped"' not in shown


def test_speed_and_delays_are_those_of_small_and_large_batches_alike() -> None:
    meter = Meter()
    for delays in (range(1, 8_001), [100_000] * 2_000):
        for at in range(0, len(delays), 2_000):
            meter.count_batch(entries_after(delays[at : at + 2_000]), BatchResult(NEW), now_ms=NOW_MS)
    for _ in range(40):
        meter.count_batch(entries_after([200_000]), BatchResult(NEW), now_ms=NOW_MS)
    events_per_s, p50_ms, p99_ms = meter.recent(now_ms=NOW_MS + 1_000)
    assert events_per_s == 1_004.0
    assert p50_ms == pytest.approx(5_020, rel=0.01)
    assert p99_ms == 100_000
    assert meter.recent(now_ms=NOW_MS + 11_000) == (0.0, 0.0, 0.0)


def entries_after(delays_ms: Iterable[int]) -> list[Entry]:
    """Entries whose records came so long before now."""
    return [Entry(i, 0, NOW_MS - delay_ms, None, None) for i, delay_ms in enumerate(delays_ms)]
