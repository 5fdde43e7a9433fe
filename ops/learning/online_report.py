"""`storepulse evaluate learning`: a shop's past replayed in order of time, learning as the stream does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.artefacts.card import ArtefactError
from models.evaluation.metrics import binary_losses, class_losses, expected_calibration_error, pr_auc, roc_auc
from models.next_action.predictor import Predictor, load, load_shipped
from models.next_action.prefixes import prefixes_of
from models.online.replay import History, Replayed, history_of, replay
from models.online.sums import MEMBERS
from ops.learning.predictions import say_model
from ops.learning.results import EXIT_ERROR, open_console, save_json
from ops.learning.shop_events import make_progress, read_events, title_of
from sources import UnknownFormat

SETTLED = 2_000
"""Judged predictions after which calibration is measured."""
HOURS_SHOWN = 6
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """What was asked for. `model` None: the shipped one."""

    files: tuple[Path, ...]
    model: Path | None = None
    idle_ms: int = 30 * 60_000
    partitions: int = 1
    is_shared: bool = True
    currency: str = "EUR"
    json: Path | None = None


class Line(NamedTuple):
    """The figures of one predictor. Log losses of the next action, in spans of time None where none is known.

    `settled_ece` is of the purchase probability after the first `SETTLED` judged predictions; None: there
    are no more.
    """

    name: str
    log_loss: float
    after_first_hour: float | None
    hours: list[float | None]
    days: list[float | None]
    purchase_log_loss: float
    purchase_roc_auc: float
    purchase_pr_auc: float
    settled_ece: float | None


def run_learning_evaluation(options: LearningOptions) -> int:
    """Replay every file, print a table each, write the JSON; returns the exit code."""
    errors = Console(stderr=True)
    try:
        model = load_shipped() if options.model is None else load(options.model)
        found = [_measure(path, options, model, errors) for path in options.files]
    except (OSError, ValueError, UnknownFormat, ArtefactError) as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_ERROR
    return save_json(errors, options.json, {"shops": found})


def lines_of(replayed: Replayed) -> list[Line]:
    """The figures of a constant, of every member, and of what is published.

    The constant knows how often everything happens in the whole file, which nobody knows beforehand.
    """
    constant = np.empty_like(replayed.published)
    known = replayed.targets[replayed.next_known]
    constant[:, :5] = np.bincount(known, minlength=5) / max(1, len(known))
    constant[:, 5] = replayed.buys[replayed.purchase_known].mean()
    said = {"constant, of the whole file": constant}
    said |= {name.replace("_", " "): own for name, own in zip(MEMBERS, replayed.members, strict=True)}
    said["published"] = replayed.published
    return [_line(name, own, replayed) for name, own in said.items()]


def _line(name: str, said: Floats, replayed: Replayed) -> Line:
    known, ended = replayed.next_known, replayed.purchase_known
    losses = class_losses(replayed.targets, said[:, :5])
    purchase, buys = said[ended, 5], replayed.buys[ended]
    settled = (np.cumsum(known) > SETTLED)[ended]
    return Line(
        name,
        float(losses[known].mean()),
        _mean(losses, known & (replayed.at_ms - replayed.at_ms[0] >= _HOUR_MS)),
        _spans(losses, replayed, _HOUR_MS)[:HOURS_SHOWN],
        _spans(losses, replayed, _DAY_MS),
        float(binary_losses(buys, purchase).mean()),
        roc_auc(buys, purchase),
        pr_auc(buys, purchase),
        expected_calibration_error(purchase[settled], buys[settled]) if settled.any() else None,
    )


def _spans(losses: Floats, replayed: Replayed, width_ms: int) -> list[float | None]:
    span = (replayed.at_ms - replayed.at_ms[0]) // width_ms
    return [_mean(losses, replayed.next_known & (span == number)) for number in range(int(span[-1]) + 1)]


def _mean(losses: Floats, among: Bools) -> float | None:
    return float(losses[among].mean()) if among.any() else None


def _measure(path: Path, options: LearningOptions, model: Predictor, errors: Console) -> dict[str, Any]:
    with make_progress(errors, title_of(path)) as progress:
        history = _read(path, options, model, progress)
        progress.add_task("replaying", total=None)
        replayed = replay(history, partitions=options.partitions, is_shared=options.is_shared)
    lines = lines_of(replayed)
    print_lines(title_of(path), replayed, lines)
    return {
        "file": title_of(path),
        "model": model.version,
        "partitions": options.partitions,
        "is_shared": options.is_shared,
        "predictions": len(replayed.at_ms),
        "known": int(replayed.next_known.sum()),
        "lines": [line._asdict() for line in lines],
    }


def _read(path: Path, options: LearningOptions, model: Predictor, progress: Progress) -> History:
    events = read_events(path, progress, currency=options.currency)
    cases = prefixes_of(events, idle_ms=options.idle_ms)
    if not len(cases):
        raise ValueError(f"{title_of(path)} has no events of visitors")
    return history_of(cases, *say_model(model, cases))


def print_lines(title: str, replayed: Replayed, lines: list[Line]) -> None:
    """One table of a shop, on standard output."""
    known, ended = int(replayed.next_known.sum()), int(replayed.purchase_known.sum())
    heading = f"{title}: {len(replayed.at_ms):,} predictions, of {known:,} the next action is known"
    table = Table(title=f"{heading}, of {ended:,} how the session ends", title_justify="left")
    for name in ("", "log loss", "from hour 1", "by hour", "by day", "purchase", "ROC-AUC", "PR-AUC", "ECE"):
        table.add_column(name, justify="left" if name in ("", "by hour", "by day") else "right")
    for line in lines:
        table.add_row(
            line.name,
            _show(line.log_loss),
            _show(line.after_first_hour),
            _show_spans(line.hours),
            _show_spans(line.days),
            _show(line.purchase_log_loss),
            _show(line.purchase_roc_auc),
            _show(line.purchase_pr_auc),
            _show(line.settled_ece),
        )
    open_console(200).print(table)


def _show_spans(figures: list[float | None]) -> str:
    """Those of spans in which an answer is known."""
    return " ".join(_show(figure) for figure in figures if figure is not None)


def _show(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}".lstrip("0")
