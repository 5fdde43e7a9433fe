"""Microseconds of CPU per visitor scored, step by step, and onnxruntime beside torch on one network."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from benchmarks.collector import tuned_collector
from benchmarks.visitors import ScoredVisitor, mean_actions
from contracts.settings import Settings
from models.next_action.encoding import Batch, encode_visitor, stack
from models.next_action.predictor import Predictor, load, load_shipped

STEPS = ("encode", "stack", "model", "reasons")
ENGINES = ("onnxruntime", "blend", "torch")
"""The network in onnxruntime, the same blended with trees there, and the network in torch."""
BATCHES = (1, 32, 256)
SUBJECTS = 512
"""Visitors scored in a run at every size of batch."""

Call = Callable[[Batch], object]


class Engines(Protocol):
    """The same network in both engines, and in a blend; a call takes a batch and gives both outputs."""

    parameters: int

    def run_onnx(self, batch: Batch) -> object: ...

    def run_blend(self, batch: Batch) -> object: ...

    def run_torch(self, batch: Batch) -> object: ...


@dataclass(frozen=True, slots=True)
class ScoringRow:
    """Medians over the runs at one size of batch, microseconds per visitor.

    `us` is by `STEPS`, of the model that is shipped or set; `engines_us` by `ENGINES`, of an untrained
    network of its shape, empty without torch.
    """

    batch: int
    us: dict[str, float]
    engines_us: dict[str, float]

    @property
    def total_us(self) -> float:
        """All steps together."""
        return sum(self.us.values())

    @property
    def ratio(self) -> float:
        """Time of torch over that of onnxruntime; NaN without torch."""
        return self.engines_us["torch"] / self.engines_us["onnxruntime"] if self.engines_us else math.nan


@dataclass(frozen=True, slots=True)
class ScoringFigures:
    """All rows, the version of the model in them, and actions per visitor on the average."""

    rows: tuple[ScoringRow, ...]
    version: str
    mean_actions: float
    parameters: int | None
    """Of the untrained network; None without torch."""


def load_model(settings: Settings) -> Predictor:
    """The model a worker with these settings takes; raises `models.artefacts.card.ArtefactError`."""
    return load(Path(settings.model_dir)) if settings.model_dir else load_shipped()


def measure_scoring(
    settings: Settings,
    model: Predictor,
    visitors: Sequence[ScoredVisitor],
    *,
    runs: int,
    progress: Callable[[int], None],
    engines: Engines | None = None,
) -> ScoringFigures:
    """Score the visitors at every size of batch, all in turns; `progress` gets 1 for each of `BATCHES`.

    A first run is not counted.
    """
    spent: dict[int, dict[str, list[float]]] = {size: defaultdict(list) for size in BATCHES}
    with tuned_collector():
        for run in range(runs + 1):
            for size in BATCHES:
                chunks = [visitors[at : at + size] for at in range(0, len(visitors), size)]
                seconds = _score(chunks, settings.idle_ms, model)
                if engines is not None:
                    seconds |= _race(chunks, settings.idle_ms, engines)
                for name, value in seconds.items() if run else ():
                    spent[size][name].append(value / len(visitors) * 1e6)
                progress(1)
    rows = [
        ScoringRow(
            size,
            {step: median(us[step]) for step in STEPS},
            {engine: median(us[engine]) for engine in ENGINES if engine in us},
        )
        for size, us in spent.items()
    ]
    parameters = None if engines is None else engines.parameters
    return ScoringFigures(tuple(rows), model.version, mean_actions(visitors), parameters)


def _score(chunks: Sequence[Sequence[ScoredVisitor]], idle_ms: int, model: Predictor) -> dict[str, float]:
    """CPU seconds of each of `STEPS` over all chunks, one call of the model for each."""
    marks = [time.process_time()]
    encoded = [[encode_visitor(*subject, idle_ms) for subject in chunk] for chunk in chunks]
    marks.append(time.process_time())
    batches = [stack(chunk) for chunk in encoded]
    marks.append(time.process_time())
    for batch in batches:
        model.predict(*batch)
    marks.append(time.process_time())
    for batch in batches:
        model.reasons(batch[2])
    marks.append(time.process_time())
    return {step: marks[i + 1] - marks[i] for i, step in enumerate(STEPS)}


def _race(chunks: Sequence[Sequence[ScoredVisitor]], idle_ms: int, engines: Engines) -> dict[str, float]:
    """CPU seconds of each of `ENGINES` over all chunks."""
    batches = [stack([encode_visitor(*subject, idle_ms) for subject in chunk]) for chunk in chunks]
    calls = engines.run_onnx, engines.run_blend, engines.run_torch
    return {name: _time(call, batches) for name, call in zip(ENGINES, calls, strict=True)}


def _time(call: Call, batches: Sequence[Batch]) -> float:
    began_s = time.process_time()
    for batch in batches:
        call(batch)
    return time.process_time() - began_s
