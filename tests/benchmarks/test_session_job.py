"""The job the other engines are given counts what ours counts."""

from typing import Any

from redis import Redis

from benchmarks.contenders.session_job import RedisWriter, Step, advance
from contracts.buckets import bucket_start
from contracts.keys import Keys
from contracts.settings import Settings
from services import unique_settings

AT_MS = 1_700_000_040_000


def event(kind: str, at_ms: int = AT_MS, **fields: object) -> dict[str, Any]:
    return {"event_type": kind, "event_time": at_ms, "user_id": "u1", "product_id": "p1"} | fields


def test_a_gap_starts_a_new_session_and_keeps_the_cart() -> None:
    first = advance(None, event("cart"), 1_000)
    assert first["cart"] == {"p1": 1}
    second = advance(first, event("view", AT_MS + 1_001), 1_000)
    assert (second["number"], second["cart"], second["counts"]) == (2, {"p1": 1}, {"view": 1})


def test_a_purchase_empties_its_line_and_adds_its_money() -> None:
    state = advance(None, event("cart"), 1_000)
    state = advance(state, event("purchase", price="19.99", currency="EUR", quantity=2), 1_000)
    assert state["cart"] == {}
    assert state["revenue_minor"] == 3_998


def test_a_batch_is_written_with_its_offsets(redis_url: str) -> None:
    settings: Settings = unique_settings("unused:1", redis_url)
    sold = event("purchase", price="19.99", currency="EUR")
    RedisWriter(settings).write(
        [
            Step("view", 3, 7, event("view"), advance(None, event("view"), 1_000)),
            Step("purchase", 3, 0, sold, advance(None, sold, 1_000)),
        ]
    )
    keys = Keys(settings.namespace, settings.partitions)
    with Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.hgetall(keys.meta(3)) == {"applied": "2", "off:view": "8", "off:purchase": "1"}
        for grain in ("minute", "hour", "day"):
            start_ms = bucket_start(AT_MS, grain)
            shop = client.hgetall(keys.shop_bucket(3, grain, start_ms))
            assert shop == {"v": "1", "p": "1", "u": "1", "m.EUR": "1999"}
            products = client.hgetall(keys.product_bucket(3, grain, start_ms))
            assert products == {"v:p1": "1", "p:p1": "1", "u:p1": "1", "m.EUR:p1": "1999"}
        client.delete(*client.scan_iter(match=f"{settings.namespace}:*"))
