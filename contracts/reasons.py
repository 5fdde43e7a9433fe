"""Reason codes of scores in words: what a model looked at, named for people who do not know the model."""

REASON_WORDS: dict[str, str] = {
    "activity": "activity in this session",
    "pause": "pauses between actions",
    "favorites": "favourites",
    "cart": "what is in the cart",
    "cart_value": "the value of the cart",
    "cart_age": "time since something was added to the cart",
    "removed": "products removed from the cart",
    "bought": "purchases in this session",
    "same_product": "interest in the same product",
    "same_kind": "interest in the same category or brand",
    "price": "the prices viewed",
    "history": "earlier visits",
    "time": "the time of day",
    "demand": "how often others buy this product or its like",
}
"""Codes without words are shown as they are, underscores as blanks."""


def say_reason(code: str, effect: float) -> str:
    """One reason in words, with the direction of its effect on the chance of a purchase."""
    return say_effect(REASON_WORDS.get(code, code.replace("_", " ")), effect)


def say_effect(words: str, effect: float) -> str:
    """What was looked at, with the direction of its effect."""
    return f"{words}: {'raises' if effect > 0 else 'lowers'} the chance of a purchase"
