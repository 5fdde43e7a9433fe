"""A shop with a scored visitor, alerts and a worker that is well: what clients of the whole API ask about."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from alert_makers import make_alert
from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType
from contracts.predictions import Predictions
from contracts.scores import Score
from contracts.visitor import Action, Session, Totals, Visitor, pack_actions
from shop_state import ShopState


def fill(state: ShopState) -> None:
    """A visitor with a score, and alerts: what the settings of schemathesis name."""
    now = wall_clock_ms()
    score = Score("m-1", now, 1, 1, (0.41, 0.08, 0.02, 0.06, 0.43), 0.18, (("cart", 0.7),))
    session = Session(None, 1, now, now, (1, 0, 0, 0, 0), 0, {}, {})
    tail = pack_actions([Action(now, 0, b"b" * 8, "p2", 1, None, None, None, None, None)])
    totals = Totals(now, now, session.counts, 0, {})
    visitor = Visitor(totals, None, session, tail, False, 0, b"", {}, Predictions(score))
    state.put_visitor("visitor-17", visitor)
    state.add_events([Event(f"e{n}", EventType.VIEW, now, f"v{n}", f"p{n}") for n in range(20)])
    state.publish_alerts([make_alert(number) for number in range(5)])
    state.flush()


@contextmanager
def beating(state: ShopState) -> Iterator[None]:
    """A worker that is well, as far as the API can see."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(2):
            state.beat("w1", model="m-1", scoring="ok", partitions=tuple(range(4)))
            state.flush()

    thread = threading.Thread(target=beat)
    thread.start()
    yield
    ended.set()
    thread.join()
