"""The answer of `/v1/models/history`."""

from api.resources.models import schemas
from contracts.model_steps import ModelStep
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.state import SlotState
from readers.intervals import to_datetime


def report_history(
    lifecycle: Lifecycle, *, slot: str | None, limit: int, is_complete: bool
) -> schemas.ModelHistory:
    """Where versions stand, and the newest steps, the last one first."""
    steps = [step for step in lifecycle.steps if slot in (None, step.slot)]
    return schemas.ModelHistory(
        is_complete=is_complete,
        slots=[_slot(name, lifecycle.state(name)) for name in lifecycle.slots if slot in (None, name)],
        steps=[_step(step) for step in reversed(steps[-limit:])],
    )


def _slot(name: str, state: SlotState) -> schemas.SlotVersions:
    return schemas.SlotVersions(
        slot=name,
        champion=state.champion,
        is_pinned=state.is_pinned,
        beside=state.beside or None,
        is_on_probation=state.is_on_probation,
        candidate=state.candidate or None,
        former=list(reversed(state.former)),
        rejected=list(reversed(state.rejected)),
    )


def _step(step: ModelStep) -> schemas.ModelStep:
    return schemas.ModelStep(
        slot=step.slot,
        number=step.number,
        step=step.kind,
        version=step.version,
        at=to_datetime(step.at_ms),
        author=step.author,
        reason=step.reason,
        figures=dict(step.figures),
    )
