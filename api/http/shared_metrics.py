"""Metrics of several API processes as one: each keeps its values in files, and any of them adds all up."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where the library looks for the folder."""
_PIDS = "*.pid"
_SUMMED = ("process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds")
"""Of what the system tells of a process, what makes sense added up."""


class SharedMetrics:
    """The part of process number `slot` (0 is the first) in the values of all, which are in `folder`.

    A process that takes the place of another goes on counting where that ended. To be made before the first
    metric.
    """

    def __init__(self, folder: Path, slot: int) -> None:
        os.environ[FOLDER_VARIABLE] = str(folder)
        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # theirs
        (folder / f"{slot}.pid").write_text(str(os.getpid()))
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry, str(folder))  # type: ignore[no-untyped-call]  # theirs
        self._registry.register(_Processes(folder))

    def render(self) -> bytes:
        """The metrics of all processes in the Prometheus text format."""
        return generate_latest(self._registry)


def forget_process(folder: Path, slot: int) -> None:
    """Removes what is true only of a process that lives, once it does no more: its gauges and its number."""
    for path in (*folder.glob(f"gauge_*_{slot}.db"), folder / f"{slot}.pid"):
        path.unlink(missing_ok=True)


class _Processes:
    """Memory, time and open files of all processes together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """One sample per figure; nothing where the system has no /proc."""
        totals: dict[str, Metric] = {}
        for path in self._folder.glob(_PIDS):
            for metric in ProcessCollector(pid=partial(str, path.read_text()), registry=None).collect():
                if metric.name not in _SUMMED:
                    continue
                total = totals.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    before = total.samples.pop().value if total.samples else 0.0
                    total.add_sample(sample.name, {}, before + sample.value)
        return totals.values()
