"""The price level of each partition along its log, and what it can have been when a visitor was scored."""

from collections.abc import Iterable
from math import log, sqrt

import numpy as np
import polars as pl

from models.next_action.prices import HORIZON, UNKNOWN_LEVEL
from ops.audit.abandoned import CROSSING_MS

MARGIN = 0.01
"""Added to either side, in log price: a batch moves a level that looks back over `HORIZON` prices at once."""
_DEVIATIONS = 3.0
"""So many standard deviations of their sum may be added by records that are read in another order."""
WIDEST = 0.3
"""A range of levels wider than this (log price) says nothing: too few prices were known."""
_SETTLED = HORIZON // 10

Span = tuple[float, float]


class PriceTrack:
    """The level (mean log price) after every priced record of one partition, in order of arrival.

    A score is made at the level after the batch that holds the action. Which records came before it is known
    but for those that arrived about then, as topics are merged by event time; how far the batch goes on after
    it is not, save that it has `batch_events` at most. After stored offsets were lost (`read_again`) the
    level may be any that there ever was, once it rested on enough prices.
    """

    def __init__(
        self, priced: Iterable[tuple[int, int]], *, batch_events: int, read_again: bool = False
    ) -> None:
        level, levels, times_ms = UNKNOWN_LEVEL, [], []
        priced = sorted(priced)
        for arrived_ms, price_minor in priced:
            level = level.after(price_minor)
            levels.append(level.mean_log)
            times_ms.append(arrived_ms)
        self._levels = np.array(levels)
        self._spread = float(np.std([log(price_minor) for _, price_minor in priced])) if priced else 0.0
        self._times_ms = np.array(times_ms, dtype=np.int64)
        self._batch_events = batch_events
        self._read_again = read_again

    def span(self, at_ms: int, arrived_ms: int) -> Span | None:
        """Lowest and highest level at a score made after an action at `at_ms`, the last to arrive then.

        None: it cannot be told, as too few prices were known.
        """
        first = int(np.searchsorted(self._times_ms, at_ms - CROSSING_MS))
        if first == 0:
            return None
        last = int(np.searchsorted(self._times_ms, arrived_ms + CROSSING_MS, side="right"))
        levels = self._levels[first - 1 : last + self._batch_events]
        if self._read_again:
            levels = np.append(levels, self._levels[_SETTLED:])
        margin = MARGIN + _DEVIATIONS * self._spread * sqrt(last - first) / min(first, HORIZON)
        low, high = float(levels.min()) - margin, float(levels.max()) + margin
        return (low, high) if high - low <= WIDEST else None


def price_tracks(
    sent: pl.DataFrame, copies: pl.DataFrame, *, batch_events: int, read_again: bool = False
) -> dict[int, PriceTrack]:
    """The track of each partition.

    `sent` are the events (`ops.audit.expected.COLUMNS`), `copies` their records as of
    `ops.audit.kafka_log.LogCount.copies`: one that was sent twice counts twice, as it does in the stream.
    """
    prices = sent.unique("event_id").select("event_id", "price_minor").filter(pl.col("price_minor") > 0)
    priced = copies.join(prices, on="event_id", how="inner")
    return {
        int(str(partition)): PriceTrack(
            own.select("arrived_ms", "price_minor").iter_rows(),
            batch_events=batch_events,
            read_again=read_again,
        )
        for (partition,), own in priced.group_by("partition")
    }
