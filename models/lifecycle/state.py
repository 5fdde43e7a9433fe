"""Which version of a slot's model is at work: a pure function from one state and a step to the next.

    candidate -> shadow -> champion -> former champion
        |          |          |
        +----------+----------+-----> rejected

There is always exactly one champion. Before anything was promoted it is `BASE`: what the slot comes with.
"""

from enum import StrEnum
from typing import NamedTuple

from contracts.model_steps import Author, ModelStep, StepKind

BASE = "base"
"""The version that a slot comes with: the shipped model, or that of a folder in the settings."""


class Stage(StrEnum):
    """Where a version stands."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CHAMPION = "champion"
    FORMER = "former champion"
    REJECTED = "rejected"


class SlotState(NamedTuple):
    """What all steps of a slot so far come to.

    `number` is that of the last step, `at_ms` its time. `former` has the champions before, the newest last.
    `beside` is the version that runs in the shadow of the champion: a candidate, or after a promotion the
    newest of `former`; empty for none.
    """

    number: int = 0
    at_ms: int = 0
    champion: str = BASE
    former: tuple[str, ...] = ()
    candidate: str = ""
    beside: str = ""
    rejected: tuple[str, ...] = ()
    is_pinned: bool = False

    @property
    def is_on_probation(self) -> bool:
        """Whether what runs beside the champion is the champion before it."""
        return bool(self.beside) and self.beside == self.predecessor

    @property
    def predecessor(self) -> str:
        """The champion before; empty if there was none."""
        return self.former[-1] if self.former else ""

    def stage_of(self, version: str) -> Stage | None:
        """Where a version stands; None if it is not known."""
        if version == self.champion:
            return Stage.CHAMPION
        if version == self.candidate:
            return Stage.CANDIDATE
        if version in self.former:
            return Stage.FORMER
        if version == self.beside:
            return Stage.SHADOW
        return Stage.REJECTED if version in self.rejected else None


NEW_SLOT = SlotState()


def step(state: SlotState, taken: ModelStep) -> SlotState:
    """The state after a step; the same state if the step does not fit it (`refusal_of`)."""
    if refusal_of(state, taken):
        return state
    version = taken.version
    after = state._replace(number=taken.number, at_ms=taken.at_ms)
    match taken.kind:
        case StepKind.CANDIDATE:
            return after._replace(candidate=version)
        case StepKind.SHADOW:
            return after._replace(candidate="", beside=version)
        case StepKind.PROMOTE:
            return _crowned(after, version, beside=state.champion if version == state.beside else "")
        case StepKind.REJECT:
            return _rejected(after, version)
        case StepKind.ROLL_BACK:
            back = _alone(after)._replace(champion=state.predecessor, former=state.former[:-1])
            return back if version == BASE else _rejected(back, version)
        case StepKind.CONFIRM:
            return after._replace(beside="")
        case StepKind.PIN:
            crowned = after if version == state.champion else _crowned(after, version, beside="")
            return _alone(crowned)._replace(is_pinned=True)
        case StepKind.UNPIN:
            return after._replace(is_pinned=False)


def refusal_of(state: SlotState, taken: ModelStep) -> str:
    """Why a step does not fit a state, in words; empty if it does."""
    if taken.number != state.number + 1:
        return f"another step came first: this is number {taken.number}, the last was {state.number}"
    version, stage = taken.version, state.stage_of(taken.version)
    if state.is_pinned and taken.kind not in (StepKind.PIN, StepKind.UNPIN, StepKind.REJECT):
        return f"{state.champion} is pinned"
    match taken.kind:
        case StepKind.CANDIDATE if state.candidate:
            return f"{state.candidate} is a candidate already"
        case StepKind.CANDIDATE if stage is not None or version == BASE:
            return f"{version} is known: {stage or 'it comes with the slot'}"
        case StepKind.SHADOW if stage is not Stage.CANDIDATE:
            return f"{version} is no candidate"
        case StepKind.SHADOW if state.beside:
            return f"{state.beside} runs beside the champion already"
        case StepKind.PROMOTE if stage is Stage.CHAMPION:
            return f"{version} is the champion already"
        case StepKind.PROMOTE if taken.author is Author.LEARNER and stage is not Stage.SHADOW:
            return f"{version} does not run in the shadow"
        case StepKind.REJECT if stage not in (Stage.CANDIDATE, Stage.SHADOW):
            return f"{version} is neither a candidate nor in the shadow"
        case StepKind.ROLL_BACK if stage is not Stage.CHAMPION:
            return f"{version} is not the champion"
        case StepKind.ROLL_BACK if not state.former:
            return f"there was no champion before {version}"
        case StepKind.CONFIRM if stage is not Stage.CHAMPION or not state.is_on_probation:
            return f"{version} is not on probation"
        case StepKind.UNPIN if stage is not Stage.CHAMPION or not state.is_pinned:
            return f"{version} is not pinned"
    return ""


def _crowned(state: SlotState, version: str, *, beside: str) -> SlotState:
    """The version as champion, and what runs beside it."""
    alone = state if version == state.beside else _alone(state)
    return alone._replace(
        champion=version,
        former=(*[known for known in state.former if known != version], state.champion),
        candidate="" if version == state.candidate else state.candidate,
        beside=beside,
        rejected=tuple(known for known in alone.rejected if known != version),
    )


def _alone(state: SlotState) -> SlotState:
    """Nothing runs beside the champion any longer; a candidate that did is rejected."""
    if not state.beside or state.is_on_probation:
        return state._replace(beside="")
    return _rejected(state, state.beside)


def _rejected(state: SlotState, version: str) -> SlotState:
    return state._replace(
        candidate="" if version == state.candidate else state.candidate,
        beside="" if version == state.beside else state.beside,
        rejected=(*state.rejected, version),
    )
