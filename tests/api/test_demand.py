"""`/v1/products/{product_id}/demand` against buckets in a real Redis."""

from urllib.parse import quote

import httpx
import pytest

from api.http.errors import InvalidQuery
from api.http.query_times import parse_time
from api.resources.products.demand import MAX_BUCKETS, choose_interval
from contracts.buckets import GRAIN_MS, Grain
from contracts.clock import wall_clock_ms
from contracts.visitor import ACTION_TYPES
from shop_state import ShopState, make_event

AT_MS = 1_570_000_000_000
MINUTE_MS = GRAIN_MS["minute"]


def path_of(product_id: str) -> str:
    return f"/v1/products/{quote(product_id, safe='')}/demand"


def add_history(state: ShopState, product_id: str) -> None:
    state.add_events(
        (
            make_event(
                event_type,
                AT_MS - age * MINUTE_MS,
                user_id=f"u{i}",
                product_id=product_id,
                price_minor=250,
                currency="EUR" if i else "JPY",
                quantity=2,
            )
            for event_type in ACTION_TYPES
            for age in (0, 1, 59, 60, 60 * 47, 60 * 24 * 29)
            for i in range(3)
        ),
        broker_ms=wall_clock_ms(),
    )
    state.flush()


@pytest.mark.parametrize(
    ("grain", "n_buckets", "n_events"), [("minute", 60, 9), ("hour", 48, 15), ("day", 30, 18)]
)
async def test_the_default_window_ends_with_the_running_bucket(
    client: httpx.AsyncClient, state: ShopState, grain: Grain, n_buckets: int, n_events: int
) -> None:
    add_history(state, "p1")
    answer = await client.get(path_of("p1"), params={"grain": grain})
    assert answer.status_code == 200
    demand = answer.json()
    assert demand["mode"] == "replay"
    assert len(demand["buckets"]) == n_buckets
    for field in ("views", "favorites", "carts", "removes", "purchases"):
        assert sum(bucket[field] for bucket in demand["buckets"]) == n_events
    assert sum(bucket["units"] for bucket in demand["buckets"]) == 2 * n_events
    assert demand["buckets"][-1]["views"] > 0
    eur = sum(m["amount_minor"] for b in demand["buckets"] for m in b["revenue"] if m["currency"] == "EUR")
    assert eur == n_events // 3 * 2 * 500


async def test_buckets_without_events_are_zeros(client: httpx.AsyncClient) -> None:
    answer = await client.get(path_of("never seen"), params={"grain": "minute"})
    assert answer.status_code == 200
    assert len(answer.json()["buckets"]) == 60
    counts = {name: value for name, value in answer.json()["buckets"][0].items() if name != "start"}
    assert [counts.pop(name) for name in ("revenue", "refunded", "net_revenue")] == [[], [], []]
    numbers = ("views", "favorites", "carts", "removes", "purchases", "units", "units_returned")
    assert counts == dict.fromkeys(numbers, 0)


@pytest.mark.parametrize("product_id", ["a/demand", "sku/1/2", "größe 🧥", "x:y", "50%"])
async def test_any_product_id_works_when_percent_encoded(
    client: httpx.AsyncClient, state: ShopState, product_id: str
) -> None:
    add_history(state, product_id)
    demand = (await client.get(path_of(product_id), params={"grain": "day"})).json()
    assert demand["product_id"] == product_id
    assert sum(bucket["views"] for bucket in demand["buckets"]) == 18


async def test_from_and_to_choose_overlapping_buckets(client: httpx.AsyncClient, state: ShopState) -> None:
    add_history(state, "p1")
    params = {"grain": "minute", "from": "2019-10-02T09:05:59+02:00", "to": str(AT_MS + 1)}
    demand = (await client.get(path_of("p1"), params=params)).json()
    assert [bucket["start"] for bucket in demand["buckets"]] == [
        "2019-10-02T07:05:00Z",
        "2019-10-02T07:06:00Z",
    ]
    assert [bucket["views"] for bucket in demand["buckets"]] == [3, 3]
    assert (demand["from"], demand["to"]) == ("2019-10-02T07:05:00Z", "2019-10-02T07:07:00Z")


async def test_a_plus_sign_that_was_not_encoded_is_still_an_offset(client: httpx.AsyncClient) -> None:
    window = "from=2019-10-02T09:05:00+02:00&to=2019-10-02T09:06:00+02:00"
    answer = await client.get(f"{path_of('p1')}?grain=minute&{window}")
    assert answer.json()["from"] == "2019-10-02T07:05:00Z"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("grain=week", "grain.not_allowed"),
        ("from=yesterday", "from.not_time"),
        ("from=2019-10-02T09:05:00", "from.naive"),
        ("from=2019-10-02", "from.naive"),
        ("to=1570000000", "to.out_of_range"),
        ("to=99999999999999", "to.out_of_range"),
        ("to=0001-01-01T00:00:00%2B02:00", "to.out_of_range"),
        ("from=1570000000000&to=1570000000000", "to.not_after_from"),
        ("from=1570000000000&to=1569999999999", "to.not_after_from"),
        ("grain=minute&from=1569900000000&to=1570000000000", "from.too_many_buckets"),
        ("from=4000000000000", "from.in_future"),
        ("from=" + "1" * 60, "from.too_long"),
        ("form=1570000000000", "query.unknown"),
        ("grain=hour&limit=5", "query.unknown"),
    ],
)
async def test_bad_input_is_refused_with_field_and_rule(
    client: httpx.AsyncClient, query: str, code: str
) -> None:
    answer = await client.get(f"{path_of('p1')}?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["errors"][0]["field"] == code.split(".")[0]
    for value in ("week", "yesterday", "form", "1111", "99999999999999"):
        assert value not in answer.text


async def test_the_largest_window_is_answered(client: httpx.AsyncClient, state: ShopState) -> None:
    add_history(state, "p1")
    to_ms = AT_MS - AT_MS % MINUTE_MS + MINUTE_MS
    params: dict[str, str | int] = {"grain": "minute", "from": to_ms - MAX_BUCKETS * MINUTE_MS, "to": to_ms}
    demand = (await client.get(path_of("p1"), params=params)).json()
    assert len(demand["buckets"]) == MAX_BUCKETS


def test_a_time_names_its_field_when_it_is_none() -> None:
    with pytest.raises(InvalidQuery, match=r"from\.not_time: from must be RFC 3339 or epoch milliseconds"):
        parse_time("from", "tomorrow")


def test_only_to_reaches_back_by_the_default_span() -> None:
    interval = choose_interval(None, str(AT_MS), "hour", as_of_ms=wall_clock_ms())
    assert interval == (AT_MS - 48 * GRAIN_MS["hour"], AT_MS)
