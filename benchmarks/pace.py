"""Live traffic at an even pace, and quantiles of the delays it met."""

import time
from collections.abc import Callable, Sequence

from benchmarks.shop_log import Delivered, make_events, open_producer, send
from contracts.clock import wall_clock_ms
from contracts.events import Event
from contracts.settings import Settings
from contracts.topics import Topics

SETTLE_S = 30.0
"""Start of the stream that is not measured: cold caches, and a broker whose JVM compiles for as long, on half
a core, what one that has run for a while has compiled."""
BURST_S = 0.005


def send_paced(
    settings: Settings,
    delivered: Callable[[Event], Delivered],
    *,
    rate: int,
    seconds: float,
    progress: Callable[[int], None],
    seed: int = 7,
) -> int:
    """Send the shop's log from now on in bursts of `BURST_S`; the number sent.

    `delivered` gives what librdkafka is to call with the answer for an event. Raises `RuntimeError` if there
    is none for some of them.
    """
    producer = open_producer(settings, linger_ms=1)
    topics = Topics(settings.topic_prefix)
    count = int(rate * seconds)
    first_ms = wall_clock_ms()
    events = make_events(count, first_ms=first_ms, step_ms=1_000 / rate, seed=seed)
    start_s = time.monotonic()
    for number, event in enumerate(events):
        ahead_s = start_s + number / rate - time.monotonic()
        if ahead_s > BURST_S:
            producer.poll(0)
            time.sleep(ahead_s)
        send(producer, topics, event, delivered(event))
        if number % rate == 0:
            progress(rate)
    if unanswered := producer.flush(30):
        raise RuntimeError(f"Kafka did not answer for {unanswered} records")
    return count


def quantile(ordered: Sequence[int], share: float) -> float:
    """The value below which this share of the ordered values lies; NaN if there are none."""
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))]) if ordered else float("nan")
