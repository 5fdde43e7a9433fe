"""What a reason is called, and how it reads for a visitor."""

from collections.abc import Callable, Sequence
from math import expm1

from models.next_action.features import CONTEXT_FEATURES
from models.next_action.rates import RATE_FEATURES

REASON_FEATURES: dict[str, tuple[str, ...]] = {
    "activity": (
        "n_actions_log",
        "n_views_log",
        "n_products_log",
        "n_categories_log",
        "n_brands_log",
        "duration_log",
    ),
    "pause": ("mean_gap_log", "last_gap_log", "gap_before_log", "longest_gap_log", "gap_vs_mean"),
    "favorites": ("n_favorites_log",),
    "cart": ("cart_lines_log", "cart_units_log", "n_carts_log", "product_in_cart", "product_carted"),
    "cart_value": ("has_cart_value", "cart_value_vs_shop"),
    "cart_age": ("cart_age_log", "cart_carried_log", "steps_since_cart_log", "time_since_cart_log"),
    "removed": ("n_removes_log", "steps_since_remove_log", "product_removed"),
    "bought": (
        "n_purchases_log",
        "steps_since_purchase_log",
        "time_since_purchase_log",
        "product_bought",
    ),
    "history": (
        "session_number_log",
        "earlier_actions_log",
        "earlier_carts_log",
        "earlier_purchases_log",
        "since_last_session_log",
        "previous_actions_log",
        "previous_carts_log",
        "previous_purchases_log",
        "visitor_age_log",
    ),
    "same_product": ("repeat_share", "product_times_log", "product_run_log", "product_seen_earlier"),
    "same_kind": (
        "category_times_log",
        "category_run_log",
        "category_times_earlier_log",
        "brand_times_log",
        "has_category",
        "has_brand",
    ),
    "price": ("has_price", "price_vs_session", "price_vs_shop", "has_mean_price", "mean_price_vs_shop"),
    "time": ("hour_sin", "hour_cos"),
    "demand": RATE_FEATURES,
}
"""Code of a reason and the context features behind it; every one has exactly one. The last are the rates of
items, which not every model reads."""

REASON_CODES: tuple[str, ...] = tuple(REASON_FEATURES)
REASON_OF_FEATURE: tuple[int, ...] = tuple(
    next(i for i, code in enumerate(REASON_CODES) if name in REASON_FEATURES[code])
    for name in (*CONTEXT_FEATURES, *RATE_FEATURES)
)
"""Index = context feature, value = index in `REASON_CODES`."""

_PLACES = {name: index for index, name in enumerate(CONTEXT_FEATURES)}


def describe(code: str, context: Sequence[float]) -> str:
    """A reason in words for a visitor with this context row; raises `KeyError` for an unknown code."""
    return _WORDS[code](context)


def _number(context: Sequence[float], name: str) -> int:
    """A count whose logarithm is in the context."""
    return round(expm1(context[_PLACES[name]]))


def _duration(context: Sequence[float], name: str) -> str:
    """A time whose logarithm (of 1 + seconds) is in the context."""
    seconds = expm1(context[_PLACES[name]])
    for unit_s, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit_s:
            return _count(round(seconds / unit_s), unit)
    return _count(round(seconds), "second")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _activity(context: Sequence[float]) -> str:
    actions, products = _number(context, "n_actions_log"), _number(context, "n_products_log")
    if actions <= 1:
        return "only one action so far"
    done = f"{_count(actions, 'action')} on {_count(products, 'product')}"
    return f"{done} in {_duration(context, 'duration_log')}"


def _pause(context: Sequence[float]) -> str:
    if _number(context, "n_actions_log") <= 1:
        return "no action after the first yet"
    return f"no action for {_duration(context, 'last_gap_log')} before the last action"


def _favorites(context: Sequence[float]) -> str:
    number = _number(context, "n_favorites_log")
    return f"{_count(number, 'favourite')} marked" if number else "no favourites marked"


def _cart(context: Sequence[float]) -> str:
    lines = _number(context, "cart_lines_log")
    return f"{_count(lines, 'product')} in the cart" if lines else "nothing in the cart"


def _cart_value(context: Sequence[float]) -> str:
    if not context[_PLACES["has_cart_value"]]:
        return "no known value in the cart"
    return f"cart value {_level(context[_PLACES['cart_value_vs_shop']])} price in this shop"


def _cart_age(context: Sequence[float]) -> str:
    if not _number(context, "cart_lines_log"):
        return "nothing added to the cart yet"
    return f"last added to the cart {_duration(context, 'cart_age_log')} ago"


def _removed(context: Sequence[float]) -> str:
    number = _number(context, "n_removes_log")
    return f"removed from the cart {_count(number, 'time')}" if number else "nothing removed from the cart"


def _bought(context: Sequence[float]) -> str:
    number = _number(context, "n_purchases_log")
    return f"{_count(number, 'purchase')} in this session" if number else "nothing bought in this session"


def _history(context: Sequence[float]) -> str:
    number, bought = _number(context, "session_number_log"), _number(context, "earlier_purchases_log")
    if number <= 1:
        return "first visit"
    return f"visit number {number:,}, {_count(bought, 'purchase') if bought else 'no purchase'} before it"


def _same_product(context: Sequence[float]) -> str:
    times = _number(context, "product_times_log") + 1
    if times > 1:
        return f"{times:,} actions on the same product"
    seen_earlier = context[_PLACES["product_seen_earlier"]]
    return "a product from an earlier visit" if seen_earlier else "a product not viewed before"


def _same_kind(context: Sequence[float]) -> str:
    for name, noun in (("category_times_log", "category"), ("brand_times_log", "brand")):
        times = _number(context, name)
        if times > 1:
            return f"{_count(times, 'action')} in the same {noun}"
    return "no category or brand viewed twice"


def _price(context: Sequence[float]) -> str:
    if not context[_PLACES["has_price"]]:
        return "no price known"
    return f"price {_level(context[_PLACES['price_vs_shop']])} in this shop"


def _level(log_ratio: float) -> str:
    """How a price compares with the shop's; a quarter more or less is usual."""
    if abs(log_ratio) < 0.22:
        return "about the usual"
    far = "well " if abs(log_ratio) > 0.7 else ""
    return f"{far}{'above' if log_ratio > 0 else 'below'} the usual"


def _time(_: Sequence[float]) -> str:
    return "the time of day"


def _demand(_: Sequence[float]) -> str:
    return "how often others buy this product or its like"


_WORDS: dict[str, Callable[[Sequence[float]], str]] = {
    "activity": _activity,
    "pause": _pause,
    "favorites": _favorites,
    "cart": _cart,
    "cart_value": _cart_value,
    "cart_age": _cart_age,
    "removed": _removed,
    "bought": _bought,
    "history": _history,
    "same_product": _same_product,
    "same_kind": _same_kind,
    "price": _price,
    "time": _time,
    "demand": _demand,
}
