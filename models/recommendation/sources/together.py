"""What belongs to products: in their place, or in addition to them."""

from collections.abc import Iterable, Sequence

from contracts.sessions import BOUGHT, CARTED, VIEWED
from models.recommendation.answer import Reason
from models.recommendation.sources.source import Asked, Candidate, Source

ANY = VIEWED | CARTED | BOUGHT
STRONG = CARTED | BOUGHT
MOST_OF_CART = 8
"""Products of the cart that are looked at, the latest."""


def _similar(asked: Asked) -> Iterable[Candidate]:
    return _mix(asked, _page(asked), [(ANY, ANY, 1.0)])


def _bought_together(asked: Asked) -> Iterable[Candidate]:
    return _mix(asked, _page(asked), [(BOUGHT, BOUGHT, 4.0), (STRONG, STRONG, 1.0)])


def _for_cart(asked: Asked) -> Iterable[Candidate]:
    cart = list(asked.request.cart[-MOST_OF_CART:])
    return _mix(asked, cart, [(BOUGHT, BOUGHT, 4.0), (STRONG, STRONG, 1.0), (STRONG, ANY, 0.1)])


def _page(asked: Asked) -> list[str]:
    product_id = asked.request.product_id
    if product_id is not None:
        return [product_id]
    return [asked.request.prefix[-1].product_id] if asked.request.prefix else []


def _mix(asked: Asked, products: Sequence[str], pairs: Sequence[tuple[int, int, float]]) -> list[Candidate]:
    """Products that were with any of `products`; `pairs`: masks from and to, and their weight."""
    scores: dict[str, float] = {}
    for product_id in products:
        for from_mask, to_mask, weight in pairs:
            for one in asked.index.together(
                product_id, from_mask, to_mask, limit=asked.n, skip_visitor=asked.request.visitor_id
            ):
                scores[one.product_id] = scores.get(one.product_id, 0.0) + weight * one.score
    return [Candidate(*pair) for pair in scores.items() if pair[0] not in products]


def _explain_views(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    return _explain(asked, _page(asked), chosen)


def _explain_purchases(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    return _explain(asked, _page(asked), chosen, BOUGHT)


def _explain_cart(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    return _explain(asked, asked.request.cart[-MOST_OF_CART:], chosen, BOUGHT)


def _explain(asked: Asked, products: Sequence[str], chosen: Sequence[str], mask: int = ANY) -> list[Reason]:
    found: dict[str, tuple[int, str, str]] = {}
    for code, of in (("viewed_together", ANY), ("bought_together", mask)):
        if of == ANY and code != "viewed_together":
            continue
        for product_id in products:
            for one in asked.index.together(product_id, of, of, limit=asked.n):
                known = found.get(one.product_id)
                if known is None or known[2] != code or one.visits > known[0]:
                    found[one.product_id] = one.visits, product_id, code
    return [
        Reason(found[one][2], {"product": found[one][1], "visits": found[one][0]})
        if one in found
        else Reason("like_visits")
        for one in chosen
    ]


SIMILAR = Source("similar", _similar, _explain_views)
BOUGHT_TOGETHER = Source("bought_together", _bought_together, _explain_purchases)
FOR_CART = Source("for_cart", _for_cart, _explain_cart)
