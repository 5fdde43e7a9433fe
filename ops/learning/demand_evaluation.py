"""`storepulse evaluate demand`: forecasts at rolling origins, in one table."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.demand.evaluation.figures import Errors, compare, measure
from models.demand.evaluation.origins import (
    Origins,
    Row,
    answers,
    forecasts_of,
    last_origins,
    scale_of,
    stack,
)
from models.demand.evaluation.rows import Online, baselines
from models.demand.model import DemandSettings
from models.demand.panel import Panel
from ops.learning.demand_files import SalesFile, read_sales
from ops.learning.results import open_console, save_json, say_failure

PERIOD = 7
_FILE_COLUMNS = 170
_COLUMNS = {"mae": 3, "rmse": 3, "bias": 3, "mase": 3, "msis": 2, "coverage": 3}


@dataclass(frozen=True, slots=True)
class DemandOptions:
    """What is measured."""

    sales: SalesFile
    horizons: tuple[int, ...]
    origins: int
    stride: int
    until: int | None
    """Buckets of the file that are read, from its start; below 0: all but so many."""
    models: tuple[str, ...]
    reference: str
    json: Path | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table: its errors by horizon, and what it cost."""

    name: str
    errors: dict[int, Errors]
    us: float
    """CPU time in us per series and origin, learning included."""


def run_demand_evaluation(options: DemandOptions) -> int:
    """Measure and print; the exit code."""
    console, errors = open_console(_FILE_COLUMNS), Console(stderr=True)
    try:
        panel = read_sales(options.sales)
        if options.until is not None:
            panel = panel.until(options.until if options.until >= 0 else len(panel.sold) + options.until)
        rows = _choose(options)
        origins = last_origins(
            len(panel.sold), count=options.origins, stride=options.stride, horizon=max(options.horizons)
        )
    except (OSError, ValueError) as exc:
        return say_failure(errors, exc)
    console.print(describe(panel, origins), highlight=False)
    scale = scale_of(panel, origins, PERIOD)
    with Progress(console=errors, transient=True) as progress:
        measured = [_measure_row(row, panel, origins, options.horizons, scale, progress) for row in rows]
    reference = next(one for one in measured if one.name == options.reference)
    for horizon in options.horizons:
        console.print(make_table(measured, reference, horizon))
    return save_json(errors, options.json, to_plain(measured, reference))


def all_rows() -> list[Row]:
    """The rows in the order of the table."""
    settings = DemandSettings()
    return [
        *baselines(PERIOD),
        Online("mixture, stock-outs as demand", settings, knows_stock=False),
        Online("mixture", settings),
    ]


def describe(panel: Panel, origins: Origins) -> str:
    """What is measured, in a sentence."""
    closed = int((panel.on_sale == 0).all(axis=1).sum())
    names = ", ".join(panel.covariate_names) or "none"
    return (
        f"{panel.sold.shape[1]:,} series over {len(panel.sold):,} days, {closed} of them closed; known "
        f"ahead: {names}. {len(origins.at)} origins, the first after {origins.at[0]:,} days."
    )


def make_table(measured: Sequence[Measured], reference: Measured, horizon: int) -> Table:
    """One row per model, for the buckets up to one horizon. In brackets: 95 % intervals."""
    title = f"days 1 to {horizon} after the origin" if horizon > 1 else "the day after the origin"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for header in ("WMAPE", *(name.upper() if len(name) == 4 else name for name in _COLUMNS)):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column(f"WMAPE vs\n{reference.name}", justify="right", no_wrap=True)
    table.add_column("us a series\nand origin", justify="right", no_wrap=True)
    for one in measured:
        figures = one.errors[horizon].whole
        versus = ""
        if one is not reference:
            interval = compare(one.errors[horizon], reference.errors[horizon])["wmape"]
            star = "*" if interval.excludes_zero else ""
            versus = f"{interval.value:+.4f}{star} [{interval.low:+.4f} {interval.high:+.4f}]"
        table.add_row(
            one.name, f"{figures.wmape:.4f}",
            *("-" if np.isnan(value) else f"{value:.{places}f}"
              for value, places in ((getattr(figures, name), places) for name, places in _COLUMNS.items())),
            versus, f"{one.us:,.1f}",
        )  # fmt: skip
    return table


def to_plain(measured: Sequence[Measured], reference: Measured) -> dict[str, Any]:
    """Everything that was measured, ready for JSON; NaN becomes None."""
    return {
        "reference": reference.name,
        "models": [
            {
                "name": one.name,
                "us_per_series_and_origin": round(one.us, 2),
                "horizons": {
                    str(horizon): {
                        "figures": {
                            name: None if np.isnan(value) else value
                            for name, value in errors.whole._asdict().items()
                        },
                        "versus_reference": {
                            name: interval._asdict()
                            for name, interval in compare(errors, reference.errors[horizon]).items()
                            if not np.isnan(interval.value)
                        },
                    }
                    for horizon, errors in one.errors.items()
                },
            }
            for one in measured
        ],
    }


def _choose(options: DemandOptions) -> list[Row]:
    rows = all_rows()
    names = [row.name for row in rows]
    unknown = [name for name in (*options.models, options.reference) if name not in names]
    if unknown:
        raise ValueError(f"no model is called {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = {*(options.models or names), options.reference}
    return [row for row in rows if row.name in wanted]


def _measure_row(
    row: Row, panel: Panel, origins: Origins, horizons: Sequence[int], scale: Any, progress: Progress
) -> Measured:
    task = progress.add_task(row.name, total=len(origins.at))
    started_s = time.process_time()
    forecasts = list(forecasts_of(row, panel, origins, lambda: progress.advance(task)))
    us = (time.process_time() - started_s) / len(origins.at) / panel.sold.shape[1] * 1e6
    mean, low, high = stack(forecasts)
    errors = {
        h: measure(
            mean[:, :h], None if low is None else low[:, :h], None if high is None else high[:, :h],
            answers(panel, origins, h), scale,
        )
        for h in horizons
    }  # fmt: skip
    return Measured(row.name, errors, us)
