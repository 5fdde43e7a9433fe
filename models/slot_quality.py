"""How good live predictions of slots other than the next action's were: names of counters, and figures."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.quality import MICRO


class SlotQuality:
    """Names of the counters that slots other than the next action's have in common; see `slot_counter`."""

    JUDGED = "n"
    RIGHT = "y"
    LOSS = "l"
    """In millionths."""


def slot_counter(slot: str, name: str) -> str:
    """The name of a counter of a slot; those of the next action are the bare ones."""
    return f"{slot}/{name}"


@dataclass(frozen=True, slots=True)
class SlotFigures:
    """Of a slot's predictions; None where nothing was judged. `counts` are counters of the slot's own."""

    n: int
    accuracy: float | None
    mean_loss: float | None
    counts: dict[str, int]


def by_slot(fields: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Fields of a bucket per slot, without its name; under the empty name what is of no other slot."""
    slots: dict[str, dict[str, int]] = {}
    for field, count in fields.items():
        slot, separator, name = field.partition("/")
        if separator:
            slots.setdefault(slot, {})[name] = count
        else:
            slots.setdefault("", {})[field] = count
    return slots


def slot_figures(counts: Mapping[str, int]) -> SlotFigures:
    """Figures from the counters of one version (or the sum of several) of a slot."""
    common = {SlotQuality.JUDGED, SlotQuality.RIGHT, SlotQuality.LOSS}
    n = counts.get(SlotQuality.JUDGED, 0)
    return SlotFigures(
        n,
        counts.get(SlotQuality.RIGHT, 0) / n if n else None,
        counts.get(SlotQuality.LOSS, 0) / MICRO / n if n else None,
        {name: count for name, count in sorted(counts.items()) if name not in common},
    )
