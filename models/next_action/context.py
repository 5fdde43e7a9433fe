"""Aggregates of a session so far and of what came before it."""

from math import cos, log1p, pi, sin
from typing import TypeVar

from models.next_action.features import STEP_FEATURES
from models.next_action.fold import CART, LOG1P, MAX_STEPS, PURCHASE, REMOVE, Fold, Row, log1p_of

_WEEKDAYS = tuple((sin(d * pi / 3.5), cos(d * pi / 3.5)) for d in range(7))
_THURSDAY = 3  # 1 January 1970 was one
_LAST_STEP_FEATURES = tuple(
    STEP_FEATURES.index(name)
    for name in (
        "product_seen_earlier", "has_category", "has_brand", "has_price", "price_vs_session", "price_vs_shop",
        "hour_sin", "hour_cos", "cart_lines_log", "has_cart_value", "cart_value_vs_shop", "product_times_log",
    )
)  # fmt: skip

Name = TypeVar("Name", str, str | None)


def context_row(fold: Fold) -> Row:
    """One number per name in `CONTEXT_FEATURES`, as of the last action, whose row must be there."""
    row = fold.rows[-1]
    (
        seen_earlier, has_category, has_brand, has_price, against_session, against_shop,
        hour_sin, hour_cos, lines, has_value, value, times,
    ) = [row[i] for i in _LAST_STEP_FEATURES]  # fmt: skip
    views, favorites, carts, removes, purchases = fold.counts
    n = views + favorites + carts + removes + purchases
    size = len(fold.products)
    low = max(fold.first, size - MAX_STEPS)
    products, categories, brands = fold.products[low:], fold.categories[low:], fold.brands[low:]
    product, category, brand = products[-1], categories[-1], brands[-1]
    n_products = len(set(products))
    last_ms = fold.last_ms
    cart = fold.cart
    newest_ms, carried = last_ms, 0
    if cart:
        added = [line[2] for line in cart.values()]
        newest_ms = max(added)
        carried = sum([added_ms < fold.start_ms for added_ms in added])
    gaps = fold.gaps[low:]
    last_gap = log1p(gaps[-1] / 1e3)
    mean_gap = log1p((last_ms - fold.start_ms) / 1e3 / (n - 1)) if n > 1 else 0.0
    cart_steps = size - 1 - fold.rank_at[CART]
    done = {r for p, r in zip(products, fold.ranks[low:], strict=True) if p == product} if n > 1 else ()
    earlier_views, earlier_favorites, earlier_carts, earlier_removes, earlier_purchases = fold.history
    has_mean, mean_price = _mean_price(fold, low)
    return (
        log1p_of(n),
        log1p_of(views),
        log1p_of(favorites),
        log1p_of(carts),
        log1p_of(removes),
        log1p_of(purchases),
        LOG1P[n_products],
        LOG1P[_distinct(categories)],
        LOG1P[_distinct(brands)],
        1.0 - n_products / len(products),
        lines,
        log1p_of(fold.cart_units),
        has_value,
        value,
        log1p((last_ms - newest_ms) / 1e3),
        LOG1P[carried],
        log1p((last_ms - fold.start_ms) / 1e3),
        mean_gap,
        last_gap,
        log1p(gaps[-2] / 1e3) if len(gaps) > 1 else 0.0,
        log1p(max(gaps) / 1e3),
        last_gap - mean_gap,
        log1p_of(fold.number),
        log1p_of(earlier_views + earlier_favorites + earlier_carts + earlier_removes + earlier_purchases),
        log1p_of(earlier_carts),
        log1p_of(earlier_purchases),
        log1p(fold.session_gap_ms / 1e3) if n <= MAX_STEPS else 0.0,
        log1p((last_ms - fold.first_ms) / 1e3),
        LOG1P[min(cart_steps, MAX_STEPS)],
        LOG1P[min(size - 1 - fold.rank_at[REMOVE], MAX_STEPS)],
        LOG1P[min(size - 1 - fold.rank_at[PURCHASE], MAX_STEPS)],
        log1p(sum(gaps[len(gaps) - cart_steps :]) / 1e3) if 0 < cart_steps < len(gaps) else 0.0,
        times,
        LOG1P[_run(products)],
        product in cart,
        CART in done,
        REMOVE in done,
        PURCHASE in done,
        seen_earlier,
        LOG1P[categories.count(category)] if has_category else 0.0,
        LOG1P[_run(categories)] if has_category else 0.0,
        LOG1P[brands.count(brand)] if has_brand else 0.0,
        has_category,
        has_brand,
        has_price,
        against_session,
        against_shop,
        has_mean,
        mean_price,
        hour_sin,
        hour_cos,
        *_WEEKDAYS[(last_ms // 86_400_000 + _THURSDAY) % 7],
    )


def _distinct(names: list[str | None]) -> int:
    found = set(names)
    return len(found) - (None in found)


def _run(names: list[Name]) -> int:
    """How many of the last names are the same."""
    last, length = names[-1], 0
    for name in reversed(names):
        if name != last:
            break
        length += 1
    return length


def _mean_price(fold: Fold, low: int) -> tuple[bool, float]:
    if not fold.priced:
        return False, 0.0
    logs = [price_log for price_log in fold.price_logs[low:] if price_log is not None]
    if not logs:
        return False, 0.0
    return True, 0.0 if fold.level is None else sum(logs) / len(logs) - fold.level
