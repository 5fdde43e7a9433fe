"""A visitor who viewed one product just now, with a score of that."""

from contracts.clock import wall_clock_ms
from contracts.predictions import Predictions
from contracts.scores import Score
from contracts.visitor import Action, Session, Totals, Visitor, pack_actions
from shop_state import ShopState


def put_scored_visitor(state: ShopState, user_id: str) -> None:
    """Writes the visitor, and a worker whose model made the score."""
    now = wall_clock_ms()
    score = Score("m-1", now, 1, 1, (0.41, 0.08, 0.02, 0.06, 0.43), 0.18, (("cart", 0.7),))
    session = Session(None, 1, now, now, (1, 0, 0, 0, 0), 0, {}, {})
    tail = pack_actions([Action(now, 0, b"b" * 8, "p2", 1, None, None, None, None, None)])
    totals = Totals(now, now, session.counts, 0, {})
    visitor = Visitor(totals, None, session, tail, False, 0, b"", {}, Predictions(score))
    state.put_visitor(user_id, visitor)
    state.beat("w1", model="m-1", scoring="ok")
