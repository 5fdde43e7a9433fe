"""Tables of what follows: a row of counts for each history, at several depths."""

import numpy as np
import numpy.typing as npt

from models.online.records import AGGREGATES, Floats, Records, aggregates_in

Ints = npt.NDArray[np.int64]

_LAST = 10
"""Kinds of the last action, each on the product of the one before or on another."""
_ACTIONS = (_LAST, _LAST * 6, _LAST * 72)
"""Rows by the last one, two and three actions."""
_PACES = (_LAST, _LAST * 3, _LAST * 18, _LAST * 108)
"""Rows by the last action; with the cart; with how many actions; with how long before the last one."""
_ACTION_STARTS = (0, _LAST, _LAST + _ACTIONS[1])
_PACE_STARTS = (0, *np.cumsum([sum(_ACTIONS), *_PACES[1:-1]]).tolist())
TABLE_ROWS = sum(_ACTIONS) + sum(_PACES[1:])
"""Rows of both tables; the first depth is the same."""

_PLACE = {name: place for place, name in enumerate(AGGREGATES)}
_NUMBERS = np.log1p([1.5, 2.5, 4.5, 8.5, 16.5])
_GAPS_S = np.log1p([5, 15, 40, 120, 400])

SMOOTHING = 15.0
"""Cases that a row counts as if the next shorter history had told them."""


def rows_of(records: Records) -> tuple[Ints, Ints]:
    """The rows of each record in the tables of actions (n, 3) and of paces (n, 4), shortest history first."""
    action, pace = longest_rows(records["chain"].astype(np.int64), aggregates_in(records))
    actions = [
        start + action // (_ACTIONS[-1] // rows) for start, rows in zip(_ACTION_STARTS, _ACTIONS, strict=True)
    ]
    paces = [start + pace // (_PACES[-1] // rows) for start, rows in zip(_PACE_STARTS, _PACES, strict=True)]
    return np.stack(actions, 1), np.stack(paces, 1)


def longest_rows(chain: Ints, aggregates: Floats) -> tuple[Ints, Ints]:
    """The rows of the longest histories of each table, counted from the first of these (n,)."""
    has_cart = aggregates[:, _PLACE["cart_lines_log"]] > 0.5
    cart = has_cart * (1 + (aggregates[:, _PLACE["product_in_cart"]] > 0.5))
    number = np.searchsorted(_NUMBERS, aggregates[:, _PLACE["n_actions_log"]])
    gap = np.searchsorted(_GAPS_S, aggregates[:, _PLACE["last_gap_log"]])
    return chain, np.asarray(((chain // 72 * 3 + cart) * 6 + number) * 6 + gap)


def smooth(tables: Floats, base_rates: Floats) -> tuple[Floats, Floats]:
    """What `follow` says of every row of `longest_rows`, table by table (rows, 6)."""
    said = []
    for starts, sizes in ((_ACTION_STARTS, _ACTIONS), (_PACE_STARTS, _PACES)):
        rows = np.arange(sizes[-1])
        histories = [start + rows // (sizes[-1] // size) for start, size in zip(starts, sizes, strict=True)]
        said.append(follow(tables, np.stack(histories, 1), base_rates))
    return said[0], said[1]


def follow(tables: Floats, rows: Ints, base_rates: Floats) -> Floats:
    """What follows each history (n, 6): a longer one is smoothed by the shorter, the first by base rates."""
    said = np.empty((len(rows), 6))
    said[:] = base_rates
    for depth in range(rows.shape[1]):
        counts = tables[rows[:, depth]]
        n = counts[:, :5].sum(1, keepdims=True)
        said[:, :5] = (counts[:, :5] + SMOOTHING * said[:, :5]) / (n + SMOOTHING)
        said[:, 5] = (counts[:, 6] + SMOOTHING * said[:, 5]) / (counts[:, 5] + counts[:, 6] + SMOOTHING)
    return said
