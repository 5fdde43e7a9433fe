"""New actions against what is known of a visitor: which come late, and from where the others go on."""

from collections.abc import Sequence

from contracts.visitor import Action, Session, Visitor
from stream.visitors.session import advance


def split_arrivals(before: Visitor | None, actions: Sequence[Action]) -> tuple[list[Action], list[Action]]:
    """The actions that belong before the newest known one, and those after it, each in order."""
    in_order = sorted(actions) if len(actions) > 1 else list(actions)
    if before is None or not in_order or in_order[0] > before.tail.last:
        return [], in_order
    late = [action for action in in_order if action < before.tail.last]
    return late, in_order[len(late) :]


def session_before(before: Visitor | None, late: Sequence[Action], *, idle_ms: int) -> Session | None:
    """The current session with the late actions where they belong, as `session.absorb` sees it."""
    if before is None or not late:
        return None if before is None else before.head
    base = before.base
    fitting = [action for action in late if base is None or action.at_ms > base.last_ms]
    session, _ = advance(base, sorted((*before.tail.actions(), *fitting)), idle_ms=idle_ms)
    return session
