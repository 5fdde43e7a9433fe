"""What sessions say of each item whatever the visitor does: how popular it is, and how lately it was met."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_item.sessions import UNKNOWN, Sessions

Floats = npt.NDArray[np.float32]
NAMES = "log_popularity", "log_recent_popularity", "log_events_since"
_RECENT_SHARE = 0.1
"""The newest events, of which the recent popularity is."""


class ItemStatistics(NamedTuple):
    """Of each item (items,), as logarithms: its shares of all events and of the newest, events since it."""

    log_popularity: Floats
    log_recent_popularity: Floats
    log_events_since: Floats


def measure_items(sessions: Sessions) -> ItemStatistics:
    """The statistics of sessions; what never occurred counts as half an event, and as older than all."""
    items = sessions.items[sessions.items != UNKNOWN]
    newest = np.full(sessions.n_items, -1)
    np.maximum.at(newest, items, np.arange(len(items)))
    since = np.log1p(len(items) - newest)
    recent = items[-max(1, round(_RECENT_SHARE * len(items))) :]
    return ItemStatistics(
        _log_share(items, sessions.n_items), _log_share(recent, sessions.n_items), since.astype(np.float32)
    )


def _log_share(items: npt.NDArray[np.int32], n_items: int) -> Floats:
    counts = np.bincount(items, minlength=n_items)
    return np.log(np.maximum(counts, 0.5) / max(1, len(items))).astype(np.float32)
