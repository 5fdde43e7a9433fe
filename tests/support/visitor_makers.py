"""Visitors who did something of late."""

from contracts.clock import wall_clock_ms
from contracts.visitor import Action, CartLine, Session, Totals, Visitor, pack_actions

VIEW, CART, PURCHASE = 0, 2, 4
"""Some of `Action.rank`."""


def make_visitor(*did: tuple[int, str], cart: tuple[str, ...] = ()) -> Visitor:
    """A visitor who did this within the last minute: ranks and products, oldest first."""
    now = wall_clock_ms()
    start = now - 1_000 * len(did)
    actions = [
        Action(start + 1_000 * n, rank, n.to_bytes(8), product, 1, None, None, None, None, None)
        for n, (rank, product) in enumerate(did)
    ]
    lines = {product: CartLine(1, None, None, start) for product in cart}
    session = Session(None, 1, start, actions[-1].at_ms, (len(did), 0, 0, 0, 0), 0, {}, lines)
    totals = Totals(start, actions[-1].at_ms, session.counts, 0, {})
    return Visitor(totals, None, session, pack_actions(actions), False, 0, b"", {})
