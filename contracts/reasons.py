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
    "price": "the prices looked at",
    "history": "earlier visits",
    "time": "the time of day",
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
