"""What is predicted: the next action of a session."""

from contracts.events import EventType
from contracts.visitor import ACTION_TYPES

LEAVE = "leave"
"""Nothing more happens in the session."""

TARGETS: tuple[str, ...] = (
    EventType.VIEW.value,
    EventType.CART.value,
    EventType.REMOVE_FROM_CART.value,
    EventType.PURCHASE.value,
    LEAVE,
)
"""The classes of the next action, in the order of every distribution."""

LEAVE_TARGET = TARGETS.index(LEAVE)
PURCHASE_TARGET = TARGETS.index(EventType.PURCHASE.value)

TARGET_OF_RANK: tuple[int, ...] = tuple(
    TARGETS.index(EventType.VIEW.value if event_type is EventType.FAVORITE else event_type.value)
    for event_type in ACTION_TYPES
)
"""Index = `Action.rank`, value = index in `TARGETS`. As a target a favourite counts as a view."""
