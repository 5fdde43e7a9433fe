"""Aggregates of a session so far and of what came before it."""

from math import log1p
from typing import TypeVar

from contracts.carts import CART, PURCHASE, REMOVE
from models.next_action.features import STEP_FEATURES
from models.next_action.fold import LOG1P, MAX_STEPS, Fold, Row, log1p_of

_AT = {name: index for index, name in enumerate(STEP_FEATURES)}
_CART_LINES, _HAS_VALUE, _VALUE = _AT["cart_lines_log"], _AT["has_cart_value"], _AT["cart_value_vs_shop"]
_SEEN_EARLIER, _TIMES = _AT["product_seen_earlier"], _AT["product_times_log"]
_HAS_CATEGORY, _HAS_BRAND = _AT["has_category"], _AT["has_brand"]
_PRICES = slice(_AT["has_price"], _AT["price_vs_shop"] + 1)
_HOURS = slice(_AT["hour_sin"], _AT["hour_cos"] + 1)

Name = TypeVar("Name", str, str | None)


def context_row(fold: Fold) -> Row:
    """One number per name in `CONTEXT_FEATURES`, as of the last action, whose row must be there."""
    row = fold.rows[-1]
    low = max(fold.first, len(fold.products) - MAX_STEPS)
    n = sum(fold.counts)
    return (
        *_counts(fold, n, low),
        *_cart(fold, row),
        *_pace(fold, n, low),
        *_history(fold, n),
        *_since(fold),
        *_product(fold, row, low),
        *_names(fold, row, low),
        *row[_PRICES],
        *_mean_price(fold, low),
        *row[_HOURS],
    )


def _counts(fold: Fold, n: int, low: int) -> Row:
    views, favorites, carts, removes, purchases = fold.counts
    products = fold.products[low:]
    n_products = len(set(products))
    return (
        log1p_of(n),
        log1p_of(views),
        log1p_of(favorites),
        log1p_of(carts),
        log1p_of(removes),
        log1p_of(purchases),
        LOG1P[n_products],
        LOG1P[_distinct(fold.categories[low:])],
        LOG1P[_distinct(fold.brands[low:])],
        1.0 - n_products / len(products),
    )


def _cart(fold: Fold, row: Row) -> Row:
    age_ms, carried = 0, 0
    if fold.cart:
        added = [line.added_ms for line in fold.cart.values()]
        age_ms = fold.last_ms - max(added)
        carried = sum([added_ms < fold.start_ms for added_ms in added])
    return (
        row[_CART_LINES],
        log1p_of(fold.cart_units),
        row[_HAS_VALUE],
        row[_VALUE],
        log1p(age_ms / 1e3),
        LOG1P[carried],
    )


def _pace(fold: Fold, n: int, low: int) -> Row:
    gaps = fold.gaps[low:]
    duration_s = (fold.last_ms - fold.start_ms) / 1e3
    last_gap = log1p(gaps[-1] / 1e3)
    mean_gap = log1p(duration_s / (n - 1)) if n > 1 else 0.0
    return (
        log1p(duration_s),
        mean_gap,
        last_gap,
        log1p(gaps[-2] / 1e3) if len(gaps) > 1 else 0.0,
        log1p(max(gaps) / 1e3),
        last_gap - mean_gap,
    )


def _history(fold: Fold, n: int) -> Row:
    earlier, previous = fold.history, fold.previous
    # A live visitor's recent actions reach back to the session before only while this one is short.
    recent = n <= MAX_STEPS
    return (
        log1p_of(fold.number),
        log1p_of(sum(earlier)),
        log1p_of(earlier[CART]),
        log1p_of(earlier[PURCHASE]),
        log1p(fold.session_gap_ms / 1e3) if recent else 0.0,
        log1p_of(sum(previous)) if recent else 0.0,
        log1p_of(previous[CART]) if recent else 0.0,
        log1p_of(previous[PURCHASE]) if recent else 0.0,
        log1p((fold.last_ms - fold.first_ms) / 1e3),
    )


def _since(fold: Fold) -> Row:
    last = len(fold.products) - 1
    return (
        LOG1P[min(last - fold.rank_at[CART], MAX_STEPS)],
        LOG1P[min(last - fold.rank_at[REMOVE], MAX_STEPS)],
        LOG1P[min(last - fold.rank_at[PURCHASE], MAX_STEPS)],
        _time_since(fold, CART),
        _time_since(fold, PURCHASE),
    )


def _time_since(fold: Fold, rank: int) -> float:
    """Log seconds since the last action of this kind, in whatever session; 0 if none is recent."""
    recent = fold.ranks[-MAX_STEPS:]
    if rank not in recent:
        return 0.0
    steps = 1
    while recent[-steps] != rank:
        steps += 1
    return log1p((fold.last_ms - fold.times_ms[-steps]) / 1e3)


def _product(fold: Fold, row: Row, low: int) -> Row:
    products = fold.products[low:]
    product = products[-1]
    done = {rank for name, rank in zip(products, fold.ranks[low:], strict=True) if name == product}
    return (
        row[_TIMES],
        LOG1P[_run(products)],
        product in fold.cart,
        CART in done,
        REMOVE in done,
        PURCHASE in done,
        row[_SEEN_EARLIER],
    )


def _names(fold: Fold, row: Row, low: int) -> Row:
    category, brand = fold.categories[-1], fold.brands[-1]
    times = run = earlier = brand_times = 0.0
    if category is not None:
        categories = fold.categories[low:]
        times, run = LOG1P[categories.count(category)], LOG1P[_run(categories)]
        if fold.first:
            reach = max(0, len(fold.categories) - MAX_STEPS)
            earlier = LOG1P[fold.categories[reach : fold.first].count(category)]
    if brand is not None:
        brand_times = LOG1P[fold.brands[low:].count(brand)]
    return times, run, earlier, brand_times, row[_HAS_CATEGORY], row[_HAS_BRAND]


def _mean_price(fold: Fold, low: int) -> Row:
    priced = sum(fold.has_price[low:])
    if not priced or fold.level is None:
        return priced > 0, 0.0
    return True, sum(fold.price_logs[low:]) / priced - fold.level


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
