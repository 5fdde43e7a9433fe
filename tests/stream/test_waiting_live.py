"""With hardly any time for scores, on real Kafka and Redis: visitors with a cart are scored all the same."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from redis import Redis

from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import unpack_visitor
from ops.audit.state import read_state
from ops.chaos.traffic import make_producer
from running_worker import running_worker
from services import wait_until
from stub_model import write_model

WITH_CART, WITHOUT = 600, 900


def make_visit(number: int, draw: random.Random) -> list[Event]:
    """What a visitor did just now: views, and then a cart if it is one of the first `WITH_CART`."""
    kinds = [EventType.VIEW] * draw.randint(1, 3) + [EventType.CART] * (number < WITH_CART)
    user_id, from_ms = f"visitor-{number}", wall_clock_ms() - 4_000
    return [
        Event(f"e{number}-{at}", kind, from_ms + at * 1_000, user_id, f"p{draw.randint(0, 20)}")
        for at, kind in enumerate(kinds)
    ]


def send(settings: Settings, events: list[Event]) -> None:
    """Put events into Kafka."""
    producer, topics = make_producer(settings), Topics(settings.topic_prefix)
    for event in events:
        producer.produce(topics.of(event.event_type), encode(event), event.user_id.encode())
        producer.poll(0)
    assert producer.flush(60) == 0


def test_visitors_with_a_cart_are_scored_in_the_end_and_nothing_is_counted_twice(
    make_installation: Any, tmp_path: Path
) -> None:
    write_model(tmp_path / "model")
    settings: Settings = make_installation(
        partitions=4, scoring_budget_ms=1, model_dir=str(tmp_path / "model"), learning=False
    )
    client, keys = Redis.from_url(settings.redis_url), Keys(settings.namespace, settings.partitions)

    def has_model() -> bool:
        ids: Any = client.zrange(keys.workers(), 0, -1)
        return any(client.hget(keys.worker(worker_id.decode()), "model") for worker_id in ids)

    def unscored(visits: list[list[Event]]) -> list[str]:
        """Visitors with a cart whose newest state has no score."""
        found = []
        for visit in visits:
            blob: Any = client.get(keys.visitor(visit[0].user_id))
            visitor = None if blob is None else unpack_visitor(blob)
            score = None if visitor is None else visitor.predictions.score
            if score is None or score.at_ms != visit[-1].event_time_ms:
                found.append(visit[0].user_id)
        return found

    draw = random.Random(3)
    with client, running_worker(settings, tmp_path):
        wait_until(has_model, 60, "the worker has its model")
        visits = [make_visit(number, draw) for number in range(WITH_CART + WITHOUT)]
        events = [event for visit in visits for event in visit]
        send(settings, sorted(events, key=lambda event: event.event_time_ms))
        wait_until(lambda: read_state(client, keys).counters["applied"] == len(events), 60, "all is applied")
        wait_until(lambda: not unscored(visits[:WITH_CART]), 60, "all visitors with a cart are scored")
        state = read_state(client, keys)
        scores_alone = sum(int(client.hget(keys.meta(p), "off:#timers") or 0) for p in range(4))
    assert scores_alone > 0, "no round was too short for all, so nobody waited"
    assert (state.counters["applied"], state.counters["duplicates"]) == (len(events), 0)
    assert state.counters["scored"] + state.counters["skipped"] >= len(visits)
    for visit in visits:
        kinds = Counter(event.event_type for event in visit)
        views, _, carts, *_ = state.visitors[visit[0].user_id].counts
        assert (views, carts) == (kinds[EventType.VIEW], kinds[EventType.CART])
    for kind, name in ((EventType.VIEW, "v"), (EventType.CART, "c")):
        counted = sum(
            n
            for (what, grain, _, field), n in state.buckets.items()
            if (what, grain, field) == ("shop", "day", name)
        )
        assert counted == sum(event.event_type is kind for event in events)
