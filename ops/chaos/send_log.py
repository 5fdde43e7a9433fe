"""The send log: every event that was sent, once per send, in columns that fit hours into memory."""

import threading

import polars as pl

from contracts.events import Event
from ops.audit.expected import NAMED_COLUMNS

_CHUNK = 50_000


class SendLog:
    """Append-only and safe between threads; about 100 bytes per event."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: list[pl.DataFrame] = []
        self._rows: list[tuple[object, ...]] = []

    def add(self, event: Event) -> None:
        """Write down one send of an event."""
        row = (
            event.event_id, event.event_type.value, event.event_time_ms, event.user_id, event.product_id,
            event.quantity, event.price_minor, event.currency, event.order_id, event.session_id,
            event.category, event.brand,
        )  # fmt: skip
        with self._lock:
            self._rows.append(row)
            if len(self._rows) >= _CHUNK:
                self._fold()

    def frame(self) -> pl.DataFrame:
        """Everything so far, in the order of sending, with the columns `ops.audit.expected.NAMED_COLUMNS`."""
        with self._lock:
            self._fold()
            self._frames = [pl.concat(self._frames)]
            return self._frames[0]

    def _fold(self) -> None:
        self._frames.append(pl.DataFrame(self._rows, schema=NAMED_COLUMNS, orient="row"))
        self._rows = []
