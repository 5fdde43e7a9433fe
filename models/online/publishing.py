"""What is published: the mixture once enough was judged and it beats the running base rates, per task."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.online.members import (
    Opinions,
    base_rates,
    inputs_of,
    logits_in,
    mixing_weights,
    stretch,
    to_logits,
    to_probabilities,
)
from models.online.records import Records, aggregates_in
from models.online.sums import MEMBERS, OUTPUTS, TASKS, Floats, Sums
from models.online.tables import longest_rows, smooth

FEWEST_JUDGED = 50
"""Answers below which the model is published as it is."""
NEGLIGIBLE = 1e-6
"""Weight of a member that is not asked."""
_BASE_RATES, _MODEL, _MIXED = MEMBERS.index("base_rates"), MEMBERS.index("model"), len(MEMBERS)


class Source(StrEnum):
    """Where the published probability of a task comes from."""

    MODEL = "model"
    MIXTURE = "mixture"
    BASE_RATES = "base_rates"


def source_of(sums: Sums, task: int) -> Source:
    """Where the probabilities of a task (place in `TASKS`) come from."""
    if sums.judged[task] < FEWEST_JUDGED:
        return Source.MODEL
    is_better = sums.losses[_MIXED, task] < sums.losses[_BASE_RATES, task]
    return Source.MIXTURE if is_better else Source.BASE_RATES


def published(sums: Sums, opinions: Opinions) -> Floats:
    """The probabilities to publish (n, 6)."""
    by_source = {
        Source.MODEL: opinions.members[_MODEL],
        Source.MIXTURE: opinions.mixed,
        Source.BASE_RATES: opinions.members[_BASE_RATES],
    }
    said = np.array(by_source[source_of(sums, 0)])
    said[:, 5] = by_source[source_of(sums, 1)][:, 5]
    return said


class Publisher:
    """Publishes while the sums are the same: the tables are smoothed once, not for every visitor."""

    def __init__(self, sums: Sums) -> None:
        self.sums = sums
        self._sources = [source_of(sums, task) for task in range(len(TASKS))]
        self._weights = mixing_weights(sums)
        self._rates = base_rates(sums)
        self._tables = smooth(sums.tables, self._rates)
        self._starts = tuple(0.5 * to_logits(table) for table in self._tables)

    @property
    def is_proven(self) -> bool:
        """Whether the published purchase probability beats the running base rates of this shop."""
        return self._sources[TASKS.index("purchase")] is Source.MIXTURE

    def improve(
        self, records: Records, probabilities: npt.NDArray[Any], purchase: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """What to publish of these records instead of what a model said (n, 5) and (n,), if anything."""
        if self._sources == [Source.MODEL] * len(TASKS):
            return probabilities, purchase
        mixed = self._mix(records)
        rates = np.broadcast_to(self._rates, mixed.shape)
        chances = {Source.MODEL: probabilities, Source.MIXTURE: mixed[:, :5], Source.BASE_RATES: rates[:, :5]}
        buys = {Source.MODEL: purchase, Source.MIXTURE: mixed[:, 5], Source.BASE_RATES: rates[:, 5]}
        return chances[self._sources[0]], buys[self._sources[1]]

    def _mix(self, records: Records) -> Floats:
        """The same as `models.online.members.mix`, without members whose weight is next to nothing."""
        logits, aggregates = logits_in(records), aggregates_in(records)
        action, pace = longest_rows(records["chain"].astype(np.int64), aggregates)
        by_member: tuple[Callable[[], Floats], ...] = (
            lambda: self._rates,
            lambda: to_probabilities(logits),
            lambda: to_probabilities(stretch(self.sums, logits)),
            lambda: self._tables[0][action],
            lambda: self._tables[1][pace],
            lambda: to_probabilities(
                self._starts[0][action]
                + self._starts[1][pace]
                + inputs_of(logits, aggregates) @ self.sums.weights
            ),
        )
        mixed = np.zeros((len(records), OUTPUTS))
        for say, (next_action, purchase) in zip(by_member, self._weights.tolist(), strict=True):
            if next_action > NEGLIGIBLE or purchase > NEGLIGIBLE:
                mixed += say() * np.array([next_action] * 5 + [purchase])
        return mixed


class MemberFigures(NamedTuple):
    """One member by task: its weight in the mixture, its log loss of late, and since the beginning."""

    weight: float | None
    log_loss: float | None
    total_log_loss: float | None


class TaskFigures(NamedTuple):
    """How learning goes at one task: answers judged since the beginning, figures by member and mixture."""

    source: Source
    judged: int
    members: dict[str, MemberFigures]


def figures_of(sums: Sums) -> dict[str, TaskFigures]:
    """How learning goes, by task."""
    weights = mixing_weights(sums)
    figures = {}
    for task, name in enumerate(TASKS):
        n, total = sums.judged[task], sums.total_judged[task]
        figures[name] = TaskFigures(source_of(sums, task), round(total), {
            member: MemberFigures(
                float(weights[place, task]) if place < len(MEMBERS) else None,
                float(sums.losses[place, task] / n) if n else None,
                float(sums.total_losses[place, task] / total) if total else None,
            )
            for place, member in enumerate((*MEMBERS, "mixture"))
        })  # fmt: skip
    return figures
