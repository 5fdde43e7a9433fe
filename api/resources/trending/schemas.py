"""Answers about products of recent interest."""

from readers.answers import Answer, TimedAnswer


class TrendingProduct(Answer):
    """One product and its decayed score: 1 is one view right now."""

    rank: int
    product_id: str
    score: float


class Trending(TimedAnswer):
    """Products by recent interest: views 1, favourites 2, carts 4, purchases 8, halved every half-life."""

    half_life_s: int
    products: list[TrendingProduct]
