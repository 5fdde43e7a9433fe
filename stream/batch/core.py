"""The hot steps of the stream, compiled or in Python. Both give the same."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

from contracts.scores import Score
from contracts.visitor import PackVisitors, Visitor, pack_visitors
from models.next_action.encoding import Batch, encode_visitors
from models.next_action.prices import PriceLevel
from stream.alerts.registry import AlertRules
from stream.batch.merge import merge_heads
from stream.batch.records import Record, read_records
from stream.batch.step import (
    BatchResult,
    Clock,
    Entry,
    Screen,
    StepSettings,
    apply_batch,
    take_scores,
    users_of,
)
from stream.compiled.guard import INSTALL, CompiledStepsError, NotBuiltError, import_compiled

log = logging.getLogger(__name__)

StepT = TypeVar("StepT", bound=Callable[..., Any])


class ReadRecords(Protocol):
    """See `stream.batch.records.read_records`."""

    def __call__(
        self,
        records: Iterable[Record],
        *,
        topic: str,
        partition: int,
        partitions: int,
        default_currency: str,
        now_ms: int,
    ) -> list[Entry]: ...


class MergeHeads(Protocol):
    """See `stream.batch.merge.merge_heads`."""

    def __call__(
        self, buffers: Mapping[str, deque[Entry]], order: Sequence[str], *, awaited: Set[str], limit: int
    ) -> tuple[list[Entry], dict[str, int]]: ...


class UsersOf(Protocol):
    """See `stream.batch.step.users_of`."""

    def __call__(self, entries: Iterable[Entry]) -> set[str]: ...


class ApplyBatch(Protocol):
    """See `stream.batch.step.apply_batch`."""

    def __call__(
        self,
        clock: Clock,
        entries: Sequence[Entry],
        visitors: Mapping[str, Visitor | None],
        settings: StepSettings,
        *,
        screens: Sequence[Screen] = (),
    ) -> BatchResult: ...


class TakeScores(Protocol):
    """See `stream.batch.step.take_scores`."""

    def __call__(self, result: BatchResult, scores: Mapping[str, Score], rules: AlertRules) -> None: ...


class EncodeVisitors(Protocol):
    """See `models.next_action.encoding.encode_visitors`."""

    def __call__(self, visitors: Sequence[Visitor], levels: Sequence[PriceLevel], idle_ms: int) -> Batch: ...


class Core(NamedTuple):
    """One implementation of the hot steps.

    `others` are those of components, by the function that defines each.
    """

    name: str
    read_records: ReadRecords
    merge_heads: MergeHeads
    users_of: UsersOf
    apply_batch: ApplyBatch
    pack_visitors: PackVisitors
    encode_visitors: EncodeVisitors
    take_scores: TakeScores
    others: Mapping[Callable[..., Any], Callable[..., Any]] = {}

    def of(self, definition: StepT) -> StepT:
        """This implementation of a step of a component; the definition itself where there is no other."""
        return self.others.get(definition, definition)  # type: ignore[return-value]  # of the same signature


PYTHON = Core(
    "python", read_records, merge_heads, users_of, apply_batch, pack_visitors, encode_visitors, take_scores
)
"""The definition of every step."""


@cache
def load_compiled() -> Core:
    """The compiled steps; raises `CompiledStepsError` where they were not built from what is here now."""
    modules = import_compiled()
    others = {
        definition: step
        for module in modules.values()
        for definition, step in getattr(module, "STEPS", {}).items()
    }
    return Core(
        "compiled",
        modules["records"].read_records,
        modules["merge"].merge_heads,
        modules["batch"].users_of,
        modules["batch"].apply_batch,
        modules["packing"].pack_visitors,
        modules["encoding"].encode_visitors,
        modules["scores"].take_scores,
        others,
    )


@cache
def choose_core(*, compiled: bool) -> Core:
    """The compiled steps if they are wanted and fit, otherwise those in Python, which are a third as fast."""
    if not compiled:
        return PYTHON
    try:
        return load_compiled()
    except NotBuiltError as exc:
        log.info("using the steps in Python: %s", exc)
    except CompiledStepsError as exc:
        log.warning("using the steps in Python, a third as fast: %s; %s", exc, INSTALL)
    return PYTHON
