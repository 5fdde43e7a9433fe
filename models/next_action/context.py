"""Aggregates of a session so far and of what came before it."""

from math import log1p
from typing import TypeVar

from models.next_action.features import STEP_FEATURES
from models.next_action.fold import CART, LOG1P, MAX_STEPS, PURCHASE, REMOVE, Fold, Row, log1p_of

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
    done = {r for p, r in zip(products, fold.ranks[low:], strict=True) if p == product} if n > 1 else ()
    earlier_views, earlier_favorites, earlier_carts, earlier_removes, earlier_purchases = fold.history
    recent, previous = n <= MAX_STEPS, fold.previous
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
        log1p(fold.session_gap_ms / 1e3) if recent else 0.0,
        log1p_of(sum(previous)) if recent else 0.0,
        log1p_of(previous[CART]) if recent else 0.0,
        log1p_of(previous[PURCHASE]) if recent else 0.0,
        log1p((last_ms - fold.first_ms) / 1e3),
        LOG1P[min(size - 1 - fold.rank_at[CART], MAX_STEPS)],
        LOG1P[min(size - 1 - fold.rank_at[REMOVE], MAX_STEPS)],
        LOG1P[min(size - 1 - fold.rank_at[PURCHASE], MAX_STEPS)],
        _since_last(fold, CART),
        _since_last(fold, PURCHASE),
        times,
        LOG1P[_run(products)],
        product in cart,
        CART in done,
        REMOVE in done,
        PURCHASE in done,
        seen_earlier,
        LOG1P[categories.count(category)] if has_category else 0.0,
        LOG1P[_run(categories)] if has_category else 0.0,
        LOG1P[_times_earlier(fold, category)] if has_category else 0.0,
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
    )


def _since_last(fold: Fold, rank: int) -> float:
    """Log seconds since the last action of this kind, in whatever session; 0 if none is recent."""
    recent = fold.ranks[-MAX_STEPS:]
    if rank not in recent:
        return 0.0
    steps = 1
    while recent[-steps] != rank:
        steps += 1
    return log1p((fold.last_ms - fold.times_ms[-steps]) / 1e3)


def _times_earlier(fold: Fold, category: str | None) -> int:
    """How many recent actions of earlier sessions were in this category."""
    if not fold.first:
        return 0
    low = max(0, len(fold.categories) - MAX_STEPS)
    return fold.categories[low : fold.first].count(category)


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
    priced = sum(fold.has_price[low:])
    if not priced or fold.level is None:
        return priced > 0, 0.0
    return True, sum(fold.price_logs[low:]) / priced - fold.level
