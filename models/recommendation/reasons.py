"""Why a product is shown, in one English sentence: codes, their parameters, their words."""

from models.recommendation.answer import Reason

WORDS: dict[str, str] = {
    "viewed_together": "viewed together with {product} in {visits} visits",
    "bought_together": "bought together with {product} in {visits} visits",
    "like_visits": "in visits like this one",
    "seen": "looked at before in this shop",
    "in_cart": "already in the cart",
    "same_brand": "by {brand}, like {product}",
    "same_category": "in {category}, like {product}",
    "like": "similar to {product}",
    "popular": "chosen in {visits} visits lately",
    "popular_in_category": "in {category}, chosen in {visits} visits lately",
    "trending": "chosen in {visits} visits in the last hours",
    "new": "new in the shop, {days} days",
    "bought_before": "bought {times} times before",
    "due": "bought every {days} days, and due",
    "follows": "often in the basket after one with {product}",
    "in_many_baskets": "in many customers' newest baskets",
    "pinned": "chosen by the shop",
    "in_category": "in {category}",
    "in_catalogue": "in the catalogue",
}
"""Code to sentence. `product` is an id, for which the edge may put a title."""
_UNITS = {"visits": "visit", "days": "day", "times": "time"}


def say_why(reason: Reason) -> str:
    """The sentence of a reason."""
    words = WORDS[reason.code]
    for many, one in _UNITS.items():
        if reason.params.get(many) == 1:
            words = words.replace(f"{{{many}}} {many}", f"1 {one}")
    return words.format(**reason.params)
