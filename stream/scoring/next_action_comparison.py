"""How two versions of the next-action model are compared: prediction by prediction, once a session is over.

Both are compared as they are, before anything that was learnt online corrects them.
"""

import math
from collections.abc import Sequence
from struct import Struct
from typing import Any

from contracts.carts import PURCHASE
from contracts.scores import SCALE, in_parts
from contracts.visitor import Visitor
from models.lifecycle.pairs import SessionPair
from models.online.kept import followers_of, weight_of
from models.online.learning import UNKNOWN
from models.online.records import RECORD
from stream.scoring.comparison import Comparison

Parts = tuple[int, ...]
"""Chances of the next actions and of a purchase, in 1/SCALE."""

_PREDICTION = Struct("<HHB6H6H")
"""Actions and purchases of the session, what the prediction stands for, and what either version said."""
_IN_RECORD = Struct("<6H")
_PROBABILITIES_AT = sum(RECORD[name].itemsize for name in ("actions", "bought", "weight", "chain"))
NEXT, BUYS = 0, 1
"""Tasks."""


class ComparedBySession(Comparison):
    """Keeps the number of the session and its predictions packed, about 29 bytes each, the same ones as are
    kept to be learnt from (`models.online.kept.weight_of`)."""

    def keep(self, kept: Any, visitor: Visitor, champion: Any, other: Any) -> Any:
        """See `Comparison.keep`."""
        head = visitor.head
        actions = sum(head.counts)
        weight = weight_of(actions)
        if not weight:
            return kept
        made = _PREDICTION.pack(actions, head.counts[PURCHASE], weight, *said_in(champion), *said_in(other))
        if kept is not None and kept[0] == head.number:
            return head.number, kept[1] + made
        return head.number, made

    def end(self, kept: Any, visitor: Visitor) -> SessionPair | None:
        """See `Comparison.end`."""
        number, packed = kept
        if number != visitor.head.number or len(packed) % _PREDICTION.size:
            return None
        rows = list(_PREDICTION.iter_unpack(packed))
        targets = followers_of(visitor, [row[0] for row in rows])
        bought = visitor.head.counts[PURCHASE]
        n = 0
        losses = {(side, task): 0.0 for side in (0, 1) for task in (NEXT, BUYS)}
        happened: dict[tuple[int, int], int] = {}
        for (_, before, weight, *said), target in zip(rows, targets, strict=True):
            if target == UNKNOWN:
                continue
            buys = int(bought > before)
            n += weight
            for place in ((NEXT, target), (BUYS, buys)):
                happened[place] = happened.get(place, 0) + weight
            for side in (0, 1):
                own = said[6 * side : 6 * side + 6]
                losses[side, NEXT] += weight * _loss(own[target])
                losses[side, BUYS] += weight * _loss(own[5] if buys else SCALE - own[5])
        if not n:
            return None
        champion, other = ((losses[side, NEXT], losses[side, BUYS]) for side in (0, 1))
        return SessionPair(n, champion, other, happened)


def said_in(answer: Any) -> Sequence[int]:
    """What the model itself said, without what was learnt online."""
    score, record = answer
    if record:
        found: Parts = _IN_RECORD.unpack_from(record, _PROBABILITIES_AT)
        return found
    return (*in_parts(score.probabilities), *in_parts((score.purchase,)))


def _loss(parts: int) -> float:
    """Log loss of a probability in 1/SCALE, taken as at least half of that."""
    return -math.log(max(parts, 0.5) / SCALE)
