"""How two versions of a slot's model are compared: kept side by side of a visitor, judged by one answer."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from contracts.visitor import Visitor
from models.lifecycle.pairs import MICRO, SessionPair
from stream.scoring.judging import Observation, SlotTally

if TYPE_CHECKING:
    from stream.scoring.slots import AnySlot


class Comparison:
    """The base. What is kept of a visitor is plain, as MessagePack has it."""

    def keep(self, kept: Any, visitor: Visitor, champion: Any, other: Any) -> Any:
        """What to keep after both have answered; None for nothing."""
        raise NotImplementedError

    def skip(self, kept: Any) -> Any:
        """What to keep where only the champion has answered."""
        return kept

    def judge(self, kept: Any, outcome: Observation) -> tuple[Any, SessionPair | None]:
        """What to keep after what the visitor did, and what came of a session that is over."""
        return kept, None

    def end(self, kept: Any, visitor: Visitor) -> SessionPair | None:
        """What came of the session of which this was the last state."""
        return None


class JudgedBySlot(Comparison):
    """What any slot that judges its answers gives: both are kept and judged as the slot does its own.

    Kept: number of the session, answers judged in it, both losses (in millionths), and what the slot keeps of
    either answer.
    """

    def __init__(self, slot: "AnySlot") -> None:
        self._slot = slot

    def keep(self, kept: Any, visitor: Visitor, champion: Any, other: Any) -> Any:
        """See `Comparison.keep`."""
        number, n, mine, theirs, waiting, other_waiting = kept or (visitor.head.number, 0, 0, 0, None, None)
        waiting = self._slot.keep(waiting, visitor, champion)
        return (number, n, mine, theirs, waiting, self._slot.keep(other_waiting, visitor, other))

    def skip(self, kept: Any) -> Any:
        """Not to be judged: the champion's answer is a newer one."""
        return (*kept[:4], None, None)

    def judge(self, kept: Any, outcome: Observation) -> tuple[Any, SessionPair | None]:
        """See `Comparison.judge`."""
        number, n, mine, theirs, waiting, other_waiting = kept
        if waiting is not None and other_waiting is not None:
            judged, other_judged = _Losses(), _Losses()
            waiting = self._slot.judge(waiting, outcome, judged)
            other_waiting = self._slot.judge(other_waiting, outcome, other_judged)
            if len(judged.losses) == len(other_judged.losses):
                n += len(judged.losses)
                mine += round(sum(judged.losses) * MICRO)
                theirs += round(sum(other_judged.losses) * MICRO)
        left = (number, n, mine, theirs, waiting, other_waiting)
        if outcome.after.head.number == number and not outcome.after.ended:
            return left, None
        pair = SessionPair(n, (mine / MICRO,), (theirs / MICRO,)) if n else None
        if waiting is None and other_waiting is None:
            return None, pair
        return (outcome.after.head.number, 0, 0, 0, waiting, other_waiting), pair


class _Losses(SlotTally):
    """Takes the losses, and counts nothing."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def judge(self, at_ms: int, version: str, *, is_right: bool, loss: float) -> None:
        """See `SlotTally.judge`."""
        del at_ms, version, is_right
        self.losses.append(loss)

    def count(self, at_ms: int, version: str, changes: Iterable[tuple[str, int]]) -> None:
        """Nothing."""

    def watch(self, name: str, value: float) -> None:
        """Nothing."""
