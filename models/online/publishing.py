"""What is published: the mixture once enough was judged and it beats the running base rates, per task."""

from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.online.members import Opinions, ask_members, cases_of, mixing_weights
from models.online.records import Records
from models.online.sums import MEMBERS, TASKS, Floats, Sums

FEWEST_JUDGED = 50
"""Answers below which the model is published as it is."""
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


def improve(
    sums: Sums, records: Records, probabilities: npt.NDArray[np.float32], purchase: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """What to publish instead of what a model said of these records, if anything."""
    sources = [source_of(sums, task) for task in range(len(TASKS))]
    if sources == [Source.MODEL] * len(TASKS):
        return probabilities, purchase
    said = published(sums, ask_members(sums, cases_of(records)))
    return (
        probabilities if sources[0] is Source.MODEL else said[:, :5],
        purchase if sources[1] is Source.MODEL else said[:, 5],
    )


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
