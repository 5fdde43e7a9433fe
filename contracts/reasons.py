"""Reason codes of scores in words: what a model looked at, named for people who do not know the model."""

from collections.abc import Iterable

REASON_WORDS: dict[str, str] = {
    "activity": "how much was done so far",
    "pause": "the pauses between actions",
    "favorites": "how many products were marked as favourites",
    "cart": "what is in the cart",
    "cart_value": "the value of the cart",
    "cart_age": "how long the cart has been waiting",
    "removed": "what was taken out of the cart",
    "bought": "purchases in this session",
    "same_product": "interest in the same product",
    "same_kind": "interest in the same category or brand",
    "gap": "the pauses between actions",
    "price": "the prices looked at",
    "session": "how far the session has come",
    "history": "earlier visits",
    "product": "interest in the same product",
    "time": "the time of day",
    "n_actions_log": "how many actions there were",
    "n_views_log": "how many products were viewed",
    "n_favorites_log": "how many products were marked as favourites",
    "n_carts_log": "how often something was put into the cart",
    "n_removes_log": "how often something was taken out of the cart",
    "n_purchases_log": "purchases in this session",
    "n_products_log": "how many different products were seen",
    "n_categories_log": "how many categories were seen",
    "n_brands_log": "how many brands were seen",
    "repeat_share": "how often the same products came up again",
    "cart_lines_log": "how many products are in the cart",
    "cart_units_log": "how many pieces are in the cart",
    "cart_value_vs_shop": "the value of the cart",
    "cart_age_log": "how long the cart has been waiting",
    "cart_carried_log": "a cart from an earlier visit",
    "duration_log": "the length of the session",
    "mean_gap_log": "the usual pause between actions",
    "last_gap_log": "the last pause between actions",
    "gap_before_log": "the pause before the last one",
    "longest_gap_log": "the longest pause between actions",
    "gap_vs_mean": "the last pause against the usual one",
    "session_number_log": "how many visits there were",
    "earlier_actions_log": "activity in earlier visits",
    "earlier_carts_log": "carts of earlier visits",
    "earlier_purchases_log": "purchases of earlier visits",
    "since_last_session_log": "the time since the last visit",
    "visitor_age_log": "how long the visitor has been known",
    "steps_since_cart_log": "actions since something was put into the cart",
    "steps_since_remove_log": "actions since something was taken out of the cart",
    "steps_since_purchase_log": "actions since the last purchase",
    "time_since_cart_log": "the time since something was put into the cart",
    "product_times_log": "how often this product was looked at",
    "product_run_log": "staying with one product",
    "product_in_cart": "whether this product is in the cart",
    "product_carted": "whether this product was put into the cart",
    "product_removed": "whether this product was taken out of the cart",
    "product_bought": "whether this product was bought",
    "product_seen_earlier": "whether this product was seen in an earlier visit",
    "category_times_log": "how often this category was looked at",
    "category_run_log": "staying in one category",
    "brand_times_log": "how often this brand was looked at",
    "price_vs_session": "the price against others of this session",
    "price_vs_shop": "the price against the shop's usual ones",
    "mean_price_vs_shop": "the prices of this session against the shop's usual ones",
    "hour_sin": "the time of day",
    "hour_cos": "the time of day",
    "weekday_sin": "the day of the week",
    "weekday_cos": "the day of the week",
}
"""Codes without words are shown as they are, underscores as blanks."""


def say_reason(code: str, effect: float) -> str:
    """One reason in words, with the direction of its effect on the chance of a purchase."""
    words = REASON_WORDS.get(code, code.replace("_", " "))
    return f"{words}: {'raises' if effect > 0 else 'lowers'} the chance of a purchase"


def say_reasons(reasons: Iterable[tuple[str, float]], *, limit: int) -> tuple[str, ...]:
    """What lowers the chance of a purchase, strongest first, each said once, at most `limit` of them."""
    lowering = sorted((effect, code) for code, effect in reasons if effect < 0)
    said = dict.fromkeys(say_reason(code, effect) for effect, code in lowering)
    return tuple(said)[:limit]
