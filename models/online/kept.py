"""What is kept of a visitor's predictions until the session is over, and the answers that its end brings."""

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from contracts.carts import PURCHASE
from contracts.visitor import Visitor
from models.next_action.actions import LEAVE_TARGET, TARGET_OF_RANK
from models.online.learning import UNKNOWN
from models.online.records import RECORD, read_records

Kept = tuple[int, str, bytes]
"""Number of the session, version of the model, and the records of its predictions joined."""

_HEAD = Struct("<HBB")
"""The first fields of a record: actions, bought, weight."""
_MOST_BOUGHT = 255
_THINNING = ((8, 1), (24, 2), (56, 4))
"""Up to so many actions every first, second, fourth prediction is kept, and stands for as many. Of longer
sessions the rest is not: hardly any visitor acts so often, but robots do."""


class Ended(NamedTuple):
    """Records of a session that is over, of one version of the model, and what came after each."""

    version: str
    records: bytes
    targets: tuple[int, ...]
    buys: tuple[int, ...]


def weight_of(actions: int) -> int:
    """How many predictions one after so many actions of a session stands for; 0: it is not kept."""
    for most, every in _THINNING:
        if actions <= most:
            return 0 if actions % every else every
    return 0


def keep(kept: Kept | None, visitor: Visitor, version: str, record: bytes) -> Kept | None:
    """What is kept once a prediction was made of this state."""
    head = visitor.head
    actions = sum(head.counts)
    weight = weight_of(actions)
    if not weight:
        return kept
    made = _HEAD.pack(actions, min(head.counts[PURCHASE], _MOST_BOUGHT), weight) + record[_HEAD.size :]
    if kept is not None and kept[:2] == (head.number, version):
        return head.number, version, kept[2] + made
    return head.number, version, made


def answers_of(kept: Kept, visitor: Visitor) -> Ended | None:
    """The answers once the session of this state is over; None if what is kept is of another session.

    The next action is unknown of a prediction whose follower the state has forgotten.
    """
    number, version, packed = kept
    head = visitor.head
    if number != head.number or len(packed) % RECORD.itemsize:
        return None
    records = read_records(packed)
    targets = followers_of(visitor, records["actions"].tolist())
    bought = head.counts[PURCHASE]
    buys = [int(bought > before) for before in records["bought"].tolist()]
    return Ended(version, packed, tuple(targets), tuple(buys))


def followers_of(visitor: Visitor, actions: Sequence[int]) -> list[int]:
    """What followed after so many actions each of the session that this ends; UNKNOWN if forgotten."""
    total = sum(visitor.head.counts)
    ranks = [action.rank for action in visitor.tail.actions()]
    targets = []
    for n in actions:
        if n >= total:
            targets.append(LEAVE_TARGET)
        else:
            back = total - n
            targets.append(TARGET_OF_RANK[ranks[-back]] if back <= len(ranks) else UNKNOWN)
    return targets
