"""What a worker counts of dead letters: by code, and by the senders that name themselves."""

from prometheus_client import generate_latest

from contracts.dead_letters import DeadLetter
from stream.batch.step import BatchResult, Clock
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
