"""Where an aiokafka consumer is in the logs it reads, and how far they go."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

TP = TypeVar("TP", bound=tuple[str, int])


def positions_of(consumer: Any, tps: Iterable[TP]) -> dict[TP, int]:
    """Next offsets; partitions of whose position nothing is sure are not among them.

    A position passes over what has no record for us as well: aborted transactions, and the markers at the
    ends of transactions.
    """
    states = _states_of(consumer)
    return {tp: states[tp].position for tp in tps if tp in states and states[tp].has_valid_position}


def ends_of(consumer: Any, tps: Iterable[TP]) -> dict[TP, int]:
    """Up to where partitions can be read: the last stable offset, if the broker knows transactions."""
    states = _states_of(consumer)
    return {
        tp: states[tp].highwater or 0 if states[tp].lso in (None, -1) else states[tp].lso
        for tp in tps
        if tp in states
    }


def _states_of(consumer: Any) -> Mapping[Any, Any]:
    """What aiokafka knows of each partition that is assigned."""
    subscription = consumer._subscription.subscription
    assignment = subscription and subscription.assignment
    states: Mapping[Any, Any] = assignment._tp_state if assignment else {}
    return states
