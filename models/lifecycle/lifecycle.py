"""The lives of all slots' versions, from the records of the topic `models` in their order."""

import logging
from collections.abc import Sequence

from contracts.model_steps import InvalidStep, ModelStep, decode_step
from models.lifecycle.state import NEW_SLOT, SlotState, step

log = logging.getLogger(__name__)


class Lifecycle:
    """States by slot, and the steps that led to them. Reading a record again changes nothing."""

    def __init__(self) -> None:
        self._states: dict[str, SlotState] = {}
        self._steps: list[ModelStep] = []
        self._taken: set[str] = set()
        self._seen: set[str] = set()

    @property
    def slots(self) -> Sequence[str]:
        """Slots that have steps."""
        return sorted(self._states)

    @property
    def steps(self) -> Sequence[ModelStep]:
        """The steps that counted, in order."""
        return self._steps

    def state(self, slot: str) -> SlotState:
        """That of a slot; of one without steps, that of a new one."""
        return self._states.get(slot, NEW_SLOT)

    def take(self, value: bytes) -> None:
        """Take the next record; one that is no step is passed over."""
        try:
            taken = decode_step(value)
        except InvalidStep as exc:
            log.warning("a record about models is passed over: %s", exc)
            return
        if taken.step_id in self._seen:
            return
        before = self.state(taken.slot)
        after = step(before, taken)
        self._seen.add(taken.step_id)
        if after is not before:
            self._states[taken.slot] = after
            self._steps.append(taken)
            self._taken.add(taken.step_id)

    def has_seen(self, step_id: str) -> bool:
        """Whether this step was read, whether it counted or not."""
        return step_id in self._seen

    def has_taken(self, step_id: str) -> bool:
        """Whether this step counted."""
        return step_id in self._taken
