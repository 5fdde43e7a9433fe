"""Sessions of a made-up shop in which the next item can be learnt: visitors go round a group of items."""

from functools import cache

import numpy as np

from models.next_item.sessions import ACTIONS, Sessions
from models.next_item.training.fit import Fitted, fit_net
from models.next_item.training.net_config import FitConfig, NetConfig

GROUPS, PER_GROUP, N_SESSIONS = 6, 10, 800
N_ITEMS = GROUPS * PER_GROUP
NET = NetConfig(width=16, length=6, dropout=0.1, heads=2)
FIT = FitConfig(negatives=32, learning_rate=1e-2, batch_size=64, most_epochs=4, average=0.9, warm_up_steps=10)


@cache
def small_sessions() -> Sessions:
    """In each group of items every item has one that mostly follows it."""
    rng = np.random.default_rng(7)
    lists = []
    for _ in range(N_SESSIONS):
        group, place = rng.integers(GROUPS), rng.integers(PER_GROUP)
        length = rng.integers(2, 9)
        steps = np.where(rng.random(length) < 0.8, 1, rng.integers(PER_GROUP, size=length))
        lists.append(group * PER_GROUP + (place + np.cumsum(steps)) % PER_GROUP)
    items = np.concatenate(lists).astype(np.int32)
    starts = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    actions = rng.integers(len(ACTIONS), size=len(items)).astype(np.int8)
    return Sessions(items, starts, N_ITEMS, actions)


@cache
def small_fitted() -> Fitted:
    """A network fitted on them."""
    return fit_net(small_sessions(), NET, FIT, seed=3)
