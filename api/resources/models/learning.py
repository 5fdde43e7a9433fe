"""The part of `/v1/models` about what was learnt of visitors' answers."""

from collections import Counter
from collections.abc import Sequence

from api.resources.models import schemas
from contracts.heartbeat import NEXT_ACTION
from models.next_action.actions import TARGETS
from models.online.blob import Learned, add_up
from models.online.publishing import FEWEST_JUDGED, Source, figures_of
from models.online.sums import sums_in
from readers.intervals import to_datetime

_WHY = {
    Source.MODEL: f"not enough data yet: fewer than {FEWEST_JUDGED} recent answers",
    Source.MIXTURE: "it beats this shop's running base rates",
    Source.BASE_RATES: "the mixture does not beat this shop's running base rates",
}


def report_learning(parts: Sequence[Learned]) -> list[schemas.SlotLearning]:
    """How learning goes in each slot that learns, all partitions together; none where nothing was learnt.

    Of several versions of the model it is the one that most partitions know.
    """
    known = [part for part in parts if part.version]
    if not known:
        return []
    ((version, _),) = Counter(part.version for part in known).most_common(1)
    pooled = add_up(known, version)
    sums = sums_in(pooled.vector)
    scale, shift = (1.0 + sums.scale[0]).tolist(), sums.scale[1].tolist()
    tasks = {
        name: schemas.LearntTask(
            published=task.source.value,
            why=_WHY[task.source],
            judged=task.judged,
            members={
                member: schemas.LearningMember(**figures._asdict())
                for member, figures in task.members.items()
            },
        )
        for name, task in figures_of(sums).items()
    }
    calibration = {
        output: schemas.OutputCalibration(scale=a, shift=b)
        for output, a, b in zip((*TARGETS, "purchase_later"), scale, shift, strict=True)
    }
    return [
        schemas.SlotLearning(
            slot=NEXT_ACTION,
            version=version,
            since=to_datetime(pooled.since_ms),
            as_of=to_datetime(pooled.at_ms),
            tasks=tasks,
            calibration=calibration,
        )
    ]
