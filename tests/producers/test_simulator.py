"""The synthetic shop: deterministic, true to the contract, and shaped like a shop."""

import random
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from contracts.events import Event, EventType, decode, encode
from contracts.settings import Settings
from producers.simulate_command import SimulateOptions, make_config, run_simulate
from producers.simulator.accounts import with_accounts
from producers.simulator.calendar import HOUR_MS, busyness, plan_promotions
from producers.simulator.catalogue import make_catalogue
from producers.simulator.compare import Shape, measure
from producers.simulator.profiles import COSMETICS_SHOP, DEMO, MULTI_CATEGORY, PROFILES, Profile
from producers.simulator.refunds import Refunds
from producers.simulator.shop import Shop
from producers.simulator.simulation import SimulationConfig, _Simulation, simulate
from producers.simulator.visitors import make_visitor
from sources import Source

pytestmark = pytest.mark.slow

MONDAY_MS = 1_759_708_800_000  # 2025-10-06 00:00 UTC


def some_events(
    profile: Profile = DEMO, *, hours: float = 1.0, seed: int = 1, **fields: object
) -> list[Event]:
    config = SimulationConfig(
        MONDAY_MS,
        MONDAY_MS + round(hours * HOUR_MS),
        profile=profile,
        **({"rate": 8.0, "shaped": False} | fields),  # type: ignore[arg-type]
    )
    return list(simulate(config, seed))


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    assert some_events(hours=0.2) == some_events(hours=0.2)
    assert some_events(hours=0.2)[:50] != some_events(hours=0.2, seed=2)[:50]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_every_event_keeps_the_contract_and_comes_in_time_order(profile: Profile) -> None:
    events = some_events(profile, hours=0.5)
    for event in events:
        assert decode(encode(event), received_ms=event.event_time_ms, default_currency="USD") == event
        assert event.extra
        assert event.extra["name"]
    times = [event.event_time_ms for event in events]
    assert times == sorted(times)
    assert MONDAY_MS <= times[0] <= times[-1] < MONDAY_MS + HOUR_MS // 2
    assert len({event.event_id for event in events}) == len(events)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_the_rate_is_met_from_the_first_minutes_on(profile: Profile) -> None:
    minutes: Counter[int] = Counter()
    for seed in range(6):
        for event in some_events(profile, hours=0.5, seed=seed):
            minutes[(event.event_time_ms - MONDAY_MS) // 60_000] += 1
    for first in (0, 5, 25):
        rate = sum(minutes[m] for m in range(first, first + 5)) / 300 / 6
        assert 0.6 * 8 < rate < 1.5 * 8


def test_the_first_seconds_already_show_every_kind_of_event() -> None:
    kinds = Counter(event.event_type for event in some_events(hours=1 / 240, rate=50.0))
    assert kinds.keys() >= {EventType.VIEW, EventType.CART, EventType.PURCHASE}


def test_carts_add_up_for_visitors_seen_from_their_first_visit() -> None:
    events = some_events(hours=2.0, rate=16.0)
    # Numbers go up as visitors appear: later ones cannot have filled a cart before the simulation began.
    early = max(event.user_id for event in events if event.event_time_ms < MONDAY_MS + 60_000)
    carts: Counter[tuple[str, str]] = Counter()
    removed = bought = bought_directly = 0
    for event in events:
        if event.user_id <= early:
            continue
        key = (event.user_id, event.product_id)
        if event.event_type is EventType.CART:
            carts[key] += event.quantity
        elif event.event_type is EventType.REMOVE_FROM_CART:
            assert carts.pop(key) == event.quantity
            removed += 1
        elif event.event_type is EventType.PURCHASE:
            held = carts.pop(key, 0)
            assert event.quantity == (held or 1)
            bought, bought_directly = bought + 1, bought_directly + (not held)
    assert removed > 100
    assert bought > 10 * bought_directly > 0


def test_an_order_has_one_id_one_time_and_all_its_lines() -> None:
    orders = defaultdict(list)
    for event in some_events(hours=3.0):
        assert (event.order_id is None) == (event.event_type is not EventType.PURCHASE)
        if event.order_id:
            orders[event.order_id].append(event)
    assert max(len(lines) for lines in orders.values()) > 2
    for lines in orders.values():
        assert len({(e.event_time_ms, e.user_id, e.session_id) for e in lines}) == 1
        assert len({e.product_id for e in lines}) == len(lines)


def test_some_who_left_a_cart_come_back_in_another_session_and_buy_it() -> None:
    carted: dict[tuple[str, str], str | None] = {}
    bought_later = 0
    for event in some_events(hours=6.0):
        key = (event.user_id, event.product_id)
        if event.event_type is EventType.CART:
            carted[key] = event.session_id
        elif event.event_type is EventType.PURCHASE:
            bought_later += carted.get(key, event.session_id) != event.session_id
    assert bought_later > 10


def make_shop(seed: int = 1) -> Shop:
    rng = random.Random(seed)
    return Shop(make_catalogue(DEMO, rng, 100), rng, MONDAY_MS, 500.0)


def test_stock_that_runs_out_cannot_be_bought_until_it_is_delivered() -> None:
    shop = make_shop()
    product = shop.catalogue.products[0]
    shop.sell(product, shop.in_stock(product, MONDAY_MS), MONDAY_MS)
    assert shop.in_stock(product, MONDAY_MS + 1) == 0
    assert shop.in_stock(product, MONDAY_MS + 90 * 24 * HOUR_MS) == product.capacity > 0


def test_visitors_never_buy_more_than_there_is() -> None:
    simulation = _Simulation(SimulationConfig(MONDAY_MS, rate=20.0, shaped=False), 1)
    products = simulation._catalogue.products
    for product in products:
        product.capacity = 2
        product.stock = min(product.stock, 2)
    for _ in islice(simulation.run(), 40_000):
        pass
    assert min(product.stock for product in products) == 0
    assert simulation._shop.sold_out > 50


def test_a_promotion_lowers_prices_while_it_lasts() -> None:
    shop = make_shop()
    promotion = next(plan_promotions(shop.catalogue, random.Random(5), MONDAY_MS))
    product = next(p for p in shop.catalogue.products if promotion.covers(p))
    shop.promotion = promotion
    assert shop.price_minor(product) == round(product.price_minor * (100 - promotion.percent) / 100)
    shop.advance(promotion.end_ms)
    assert shop.promotion is None or not shop.promoted(product) or shop.promotion != promotion


def test_promotions_draw_views_to_what_they_promote() -> None:
    events = some_events(hours=8.0)
    promoted = [e for e in events if e.extra and "discount_percent" in e.extra]
    assert promoted
    usual = {e.product_id: e.price_minor for e in events if "discount_percent" not in (e.extra or {})}
    assert any((e.price_minor or 0) < (usual.get(e.product_id) or 0) for e in promoted)


def test_visitors_prefer_what_is_promoted() -> None:
    shop, rng = make_shop(), random.Random(2)
    people = [make_visitor(i, shop.catalogue, rng) for i in range(200)]
    promotion = next(plan_promotions(shop.catalogue, rng, MONDAY_MS))._replace(field="brand", value="Orbis")

    def share_promoted() -> float:
        chosen = [person.choose(rng, shop, DEMO) for person in people for _ in range(10)]
        return sum(promotion.covers(product) for product in chosen) / len(chosen)

    without = share_promoted()
    shop.promotion = promotion
    assert share_promoted() > 1.3 * without > 0


def test_evenings_are_busier_than_nights_and_the_mean_is_one() -> None:
    zone = ZoneInfo("Europe/Berlin")
    week = [busyness(MONDAY_MS + h * HOUR_MS, zone) for h in range(24 * 7)]
    assert sum(week) / len(week) == pytest.approx(1.0, abs=0.03)
    assert max(week) > 6 * min(week)
    shaped = some_events(hours=24.0, rate=1.0, shaped=True)
    hours = Counter((event.event_time_ms - MONDAY_MS) // HOUR_MS for event in shaped)
    assert hours[20] > 3 * hours[3]


def test_the_catalogue_has_readable_products_of_every_category() -> None:
    catalogue = make_catalogue(DEMO, random.Random(1), 100)
    assert len(catalogue.categories) == 10
    assert len({product.product_id for product in catalogue.products}) == len(catalogue.products) >= 590
    for product in catalogue.products:
        assert product.name.startswith(product.brand)
        assert product.price_minor > 0
        assert "." in product.category
    by_popularity = sorted((p.popularity for p in catalogue.products), reverse=True)
    assert sum(by_popularity[:60]) > 0.3 * sum(by_popularity)


# Aggregates of the two public REES46 samples (multi-category: 2019-10-01, 2 h 50 min; cosmetics: the first
# 999 events of four months), as `storepulse simulate --compare` prints them.
MULTI_CATEGORY_SAMPLE = Shape(
    17_434, 5_066,
    {"view": 0.978, "favorite": 0.0, "cart": 0.009, "remove_from_cart": 0.0, "purchase": 0.012, "refund": 0.0},  # noqa: E501
    3.44, (2, 8, 21), 0.408, 0.023, 0.039, 0.551, 33.0, 115.0, 1.07, 277.77,
)  # fmt: skip
COSMETICS_SAMPLE = Shape(
    3_996, 996,
    {"view": 0.437, "favorite": 0.0, "cart": 0.273, "remove_from_cart": 0.219, "purchase": 0.071, "refund": 0.0},  # noqa: E501
    4.01, (1, 9, 60), 0.705, 0.203, 0.023, 0.089, 14.0, 125.0, 12.30, 4.22,
)  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "sample"), [(MULTI_CATEGORY, MULTI_CATEGORY_SAMPLE), (COSMETICS_SHOP, COSMETICS_SAMPLE)]
)
def test_a_profile_has_the_shape_of_its_sample(profile: Profile, sample: Shape) -> None:
    config = SimulationConfig(MONDAY_MS, profile=profile, rate=10.0, shaped=False)
    shape = measure(islice(simulate(config, 1), 60_000))
    for kind, share in sample.mix.items():
        assert shape.mix[kind] == pytest.approx(share, abs=0.05)
    assert shape.session_mean == pytest.approx(sample.session_mean, rel=0.15)
    assert shape.session_quantiles[0] == sample.session_quantiles[0]
    assert shape.session_quantiles[1] == pytest.approx(sample.session_quantiles[1], abs=2)
    assert shape.with_cart == pytest.approx(sample.with_cart, rel=0.25)
    assert shape.with_purchase == pytest.approx(sample.with_purchase, rel=0.4)
    assert shape.gap_p50_s == pytest.approx(sample.gap_p50_s, rel=0.2)
    assert shape.of_one_event == pytest.approx(sample.of_one_event, rel=0.3)
    assert shape.gap_p90_s == pytest.approx(sample.gap_p90_s, rel=0.2)
    assert shape.revenue_per_purchase == pytest.approx(sample.revenue_per_purchase, rel=0.35)


def test_the_figures_of_the_samples_are_those_of_the_files(shop_data: Path) -> None:
    folder = shop_data / "rees46_samples"
    for name, sample in (
        ("multi_category_2019-10-01_head.parquet", MULTI_CATEGORY_SAMPLE),
        ("cosmetics_month_heads.parquet", COSMETICS_SAMPLE),
    ):
        with Source(folder / name, currency="USD") as source:
            shape = measure(event for event in source.read() if isinstance(event, Event))
        assert shape.events == sample.events
        assert shape.session_quantiles == sample.session_quantiles
        assert shape.mix == pytest.approx(sample.mix, abs=0.001)
        assert shape.revenue_per_purchase == pytest.approx(sample.revenue_per_purchase, abs=0.01)


def test_a_simulation_written_to_a_file_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    options = SimulateOptions(rate=5.0, duration_s=600.0, start="2025-10-06T08:00:00Z", out=path)
    assert run_simulate(Settings(), options) == 0
    with Source(path, currency="EUR") as source:
        events = list(source.read())
    made = with_accounts(simulate(make_config(Settings(), options), options.seed), options.seed)
    assert events == list(Refunds(options.seed).among(made))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SimulateOptions(profile="grocery"), "--profile must be one of"),
        (SimulateOptions(speed=60.0), "--start now needs --speed 1"),
        (SimulateOptions(start="noon", out=Path("x")), "--start must be now or a time"),
        (SimulateOptions(start="2025-10-06T08:00:00", out=Path("x")), "UTC offset"),
        (SimulateOptions(start="2999-01-01T00:00:00Z", speed=None), "must lie in the past"),
        (SimulateOptions(rate=0.0), "rate must be above 0"),
        (SimulateOptions(visitors=0), "visitors must be at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_what_to_do(options: SimulateOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_config(Settings(), options)
    assert run_simulate(Settings(), options) == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [("absent/day.jsonl", "no such file or directory"), ("/dev/full", "no space left on device")],
)
def test_a_file_that_cannot_be_written_is_named_with_the_reason(
    path: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / path
    assert run_simulate(Settings(), SimulateOptions(duration_s=60.0, out=out)) == 1
    assert capsys.readouterr().err.endswith(f"cannot write {out}: {reason}\n")


def test_a_live_simulation_reaches_kafka(installation: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_simulate(installation, SimulateOptions(rate=200.0, duration_s=1.0, as_json=True)) == 0
    assert '"interrupted":false' in capsys.readouterr().out
