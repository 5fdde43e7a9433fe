"""The gate before alerts: some would fire and must not, as there are too many or the model is unproven.

Rules say what should fire; the gate says whether it may. It is asked with every candidate and remembers them
until they are taken (`take`) for the commit of the batch that made them. Reasons why one is withheld are
counted (`models.quality.Quality.WITHHELD`).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from contracts.visitor_alerts import Watched


class Withheld(StrEnum):
    """Why an alert that a rule wants does not fire."""

    BUDGET = "budget"
    """There would be more than the budget of its kind allows."""
    UNPROVEN = "unproven"
    """The live model does not beat the running base rates of this shop yet."""
    VISITOR = "visitor"
    """The visitor had as many alerts in a day as they may have."""


class Candidate(NamedTuple):
    """An alert that a rule wants to fire: its rank now, and the one the visitor had before (0: none)."""

    kind: str
    at_ms: int
    rank: int
    before: int = 0
    model: str | None = None
    needs_model: bool = False
    """Whether it rests on what the model says."""


class Decided(NamedTuple):
    """A candidate, and why it was withheld; None if it fired."""

    candidate: Candidate
    withheld: Withheld | None


class Gate:
    """Lets everything through. One instance per worker; its steps run on the event loop."""

    def __init__(self) -> None:
        self._decided: list[Decided] = []
        self._ended: list[Watched] = []
        self.is_proven = True
        """Whether what the model says beats the running base rates of this shop."""

    def ask(self, candidate: Candidate) -> bool:
        """Whether this alert may fire; it is noted either way."""
        withheld = self.judge(candidate)
        self._decided.append(Decided(candidate, withheld))
        return withheld is None

    def refuse(self, candidate: Candidate, withheld: Withheld) -> None:
        """Note one that somebody else withholds."""
        self._decided.append(Decided(candidate, withheld))

    def judge(self, candidate: Candidate) -> Withheld | None:
        """Why a candidate may not fire; None if it may."""
        return Withheld.UNPROVEN if candidate.needs_model and not self.is_proven else None

    def note_ended(self, watched: Iterable[Watched]) -> None:
        """Note alerts whose day is over."""
        self._ended += watched

    def take(self) -> tuple[list[Decided], list[Watched]]:
        """What was decided, and which alerts' days ended, since the last call."""
        taken = self._decided, self._ended
        if taken[0] or taken[1]:
            self._decided, self._ended = [], []
        return taken
