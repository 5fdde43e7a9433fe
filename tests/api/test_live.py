"""`/v1/live` and `/v1/trending` against state in a real Redis."""

from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from contracts.buckets import GRAIN_MS, Metric
from contracts.clock import wall_clock_ms
from contracts.events import EventType
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.visitor import ACTION_TYPES
from readers.intervals import today, yesterday_at_this_time
from shop_state import ShopState, make_event

MINUTE_MS = GRAIN_MS["minute"]
OLD_MS = 1_570_000_000_000
KOLKATA = {"timezone": "Asia/Kolkata"}


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_empty_installation_answers_zeros_as_of_now(client: httpx.AsyncClient) -> None:
    live = await get(client, "/v1/live")
    assert live["mode"] == "live"
    assert live["active_visitors"] == 0
    assert live["events_per_s"] is None
    assert live["delay"] is None
    assert live["today"]["revenue"] == []
    assert len(live["per_minute"]) == 30
    assert live["workers"] == []
    assert (await get(client, "/v1/trending"))["products"] == []


async def test_active_visitors_are_those_of_the_last_five_minutes(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    now = wall_clock_ms()
    state.add_events(make_event(EventType.VIEW, now - 1_000, user_id=f"new{i}") for i in range(7))
    state.add_events(make_event(EventType.VIEW, now - 6 * MINUTE_MS, user_id=f"old{i}") for i in range(5))
    state.flush()
    assert (await get(client, "/v1/live"))["active_visitors"] == 7


async def test_a_replay_answers_as_of_its_newest_event(client: httpx.AsyncClient, state: ShopState) -> None:
    state.add_events([make_event(EventType.VIEW, OLD_MS, user_id="a")], broker_ms=wall_clock_ms())
    state.add_events([make_event(EventType.VIEW, OLD_MS - 1, user_id="b")], broker_ms=wall_clock_ms())
    state.flush()
    live = await get(client, "/v1/live")
    assert live["mode"] == "replay"
    assert live["as_of"] == "2019-10-02T07:06:40Z"
    assert live["active_visitors"] == 2
    assert live["per_minute"][-1]["view"] == 2


async def test_a_live_stream_without_traffic_answers_as_of_the_clock(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    hour_ago = wall_clock_ms() - 60 * MINUTE_MS
    state.add_events([make_event(EventType.VIEW, hour_ago)], broker_ms=hour_ago + 500)
    state.flush()
    live = await get(client, "/v1/live")
    assert live["mode"] == "live"
    assert live["active_visitors"] == 0


@pytest.mark.parametrize("settings", [{}, KOLKATA, {"timezone": "Asia/Kathmandu"}], indirect=True)
async def test_today_and_yesterday_count_exactly_the_minutes_of_their_intervals(
    client: httpx.AsyncClient, state: ShopState, settings: Settings
) -> None:
    zone = ZoneInfo(settings.timezone)
    as_of = OLD_MS + 7 * 3_600_000 + 12_345
    state.add_events([make_event(EventType.VIEW, as_of)], broker_ms=wall_clock_ms())
    days = [today(as_of, zone), yesterday_at_this_time(as_of, zone)]
    for at_ms in range(days[1].from_ms - MINUTE_MS, days[0].to_ms + MINUTE_MS, MINUTE_MS):
        state.add_shop(at_ms // MINUTE_MS % 4, at_ms, {Metric.ORDERS: 1, f"{Metric.REVENUE}EUR": 199})
    state.flush()
    live = await get(client, "/v1/live")
    for name, day in zip(("today", "yesterday_at_this_time"), days, strict=True):
        n_minutes = (day.to_ms - day.from_ms) // MINUTE_MS
        assert live[name]["orders"] == n_minutes
        assert live[name]["revenue"] == [
            {
                "currency": "EUR",
                "amount_minor": 199 * n_minutes,
                "amount": f"{199 * n_minutes // 100}.{199 * n_minutes % 100:02}",
            }
        ]


async def test_currencies_are_never_added_to_each_other(client: httpx.AsyncClient, state: ShopState) -> None:
    now = wall_clock_ms()
    state.add_shop(0, now, {f"{Metric.REVENUE}EUR": 1_050, f"{Metric.REVENUE}JPY": 700})
    state.add_shop(1, now, {f"{Metric.REVENUE}EUR": 5, f"{Metric.REVENUE}KWD": 1})
    state.flush()
    assert (await get(client, "/v1/live"))["today"]["revenue"] == [
        {"currency": "EUR", "amount_minor": 1_055, "amount": "10.55"},
        {"currency": "JPY", "amount_minor": 700, "amount": "700"},
        {"currency": "KWD", "amount_minor": 1, "amount": "0.001"},
    ]


async def test_the_funnel_sums_partitions(client: httpx.AsyncClient, state: ShopState) -> None:
    now = wall_clock_ms()
    for p in range(4):
        state.add_shop(p, now, {"s": 10, "sv": 8, "sc": 3, "sp": 1, "ca": 2})
    state.flush()
    live = await get(client, "/v1/live")
    assert live["funnel_today"] == {"sessions": 40, "viewed": 32, "carted": 12, "bought": 4}
    assert live["carts_abandoned_today"] == 8


async def test_the_last_half_hour_is_counted_per_minute_and_type(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.add_events([make_event(EventType.VIEW, OLD_MS)], broker_ms=wall_clock_ms())
    state.add_events(
        (make_event(t, OLD_MS - 3 * MINUTE_MS, user_id=f"u{i}") for i in range(9) for t in ACTION_TYPES),
        broker_ms=wall_clock_ms(),
    )
    state.add_events([make_event(EventType.CART, OLD_MS - 30 * MINUTE_MS)], broker_ms=wall_clock_ms())
    state.flush()
    minutes = (await get(client, "/v1/live"))["per_minute"]
    assert [m["start"] for m in minutes] == sorted(m["start"] for m in minutes)
    counts = {name: count for name, count in minutes[-4].items() if name != "start"}
    assert counts == dict.fromkeys(ACTION_TYPES, 9)
    assert minutes[-1]["view"] == 1
    assert sum(m["cart"] for m in minutes) == 9


async def test_workers_speed_adds_up_and_silent_ones_are_left_out(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.beat("w1", partitions=(0, 1), events_per_s=30.0)
    state.beat("w2", partitions=(2, 3), events_per_s=12.5)
    state.beat("gone", at_ms=wall_clock_ms() - 11_000, events_per_s=99.0)
    state.flush()
    live = await get(client, "/v1/live")
    assert live["events_per_s"] == 42.5
    assert live["delay"] == {"p50_ms": 12.0, "p99_ms": 48.5}
    assert [w["worker_id"] for w in live["workers"]] == ["w1", "w2"]
    assert live["workers"][1]["partitions"] == [2, 3]


async def test_a_heartbeat_of_another_version_is_left_out(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.beat("w1")
    state.beat_badly("w2")
    state.flush()
    assert [w["worker_id"] for w in (await get(client, "/v1/live"))["workers"]] == ["w1"]


async def test_counters_of_all_partitions_are_totals(client: httpx.AsyncClient, state: ShopState) -> None:
    state.set_meta(0, applied=5, duplicates=1, lost=2, forgotten=6)
    state.set_meta(3, applied=7, late=3, rejected=4)
    state.flush()
    totals = (await get(client, "/v1/live"))["totals"]
    assert totals == {
        "applied": 12,
        "duplicates": 1,
        "late": 3,
        "rejected": 4,
        "lost": 2,
        "forgotten": 6,
    }


@pytest.mark.parametrize("settings", [{"durable": False}], indirect=True)
async def test_live_says_when_nothing_is_kept(client: httpx.AsyncClient) -> None:
    assert (await get(client, "/v1/live"))["durable"] is False


async def test_trending_ranks_actions_by_weight_and_age(client: httpx.AsyncClient, state: ShopState) -> None:
    half_life_ms = state.settings.trend_half_life_s * 1_000
    state.add_events(
        [
            make_event(EventType.PURCHASE, OLD_MS, product_id="bought now", user_id="a"),
            make_event(
                EventType.PURCHASE, OLD_MS - 2 * half_life_ms, product_id="bought before", user_id="b"
            ),
            make_event(EventType.VIEW, OLD_MS, product_id="seen now", user_id="c"),
            make_event(EventType.VIEW, OLD_MS - 86_400_000, product_id="seen yesterday", user_id="d"),
        ],
        broker_ms=wall_clock_ms(),
    )
    state.flush()
    answer = await get(client, "/v1/trending?limit=3")
    assert answer["mode"] == "replay"
    assert [(p["rank"], p["product_id"], p["score"]) for p in answer["products"]] == [
        (1, "bought now", 8.0),
        (2, "bought before", 2.0),
        (3, "seen now", 1.0),
    ]


async def test_trending_finds_a_product_that_leads_no_partition(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    events = [
        make_event(EventType.PURCHASE, OLD_MS, product_id=f"local{p}-{i}", user_id=user_in(state, p))
        for p in range(4)
        for i in range(120)
    ]
    events += [
        make_event(EventType.CART, OLD_MS, product_id="everywhere", user_id=user_in(state, p))
        for p in range(4)
    ]
    state.add_events(events, broker_ms=wall_clock_ms())
    state.flush()
    products = (await get(client, "/v1/trending?limit=100"))["products"]
    assert products[0]["product_id"] == "everywhere"
    assert products[0]["score"] == 16.0
    assert [p["product_id"] for p in products[1:]] == sorted(p["product_id"] for p in products[1:])


def user_in(state: ShopState, p: int) -> str:
    return next(f"u{i}" for i in range(1_000) if partition_of(f"u{i}", state.settings.partitions) == p)
