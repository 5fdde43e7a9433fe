"""`storepulse evaluate learning-curve`: how good models are with less data, as a table and a picture."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from models.next_action.prefixes import prefixes_of
from ops.learning.results import open_console, save_json, say_failure, say_missing
from ops.learning.shop_events import make_progress, read_events, title_of

if TYPE_CHECKING:  # its modules need the extra [train]
    from models.next_action.evaluation.curve import Point

MODELS = ("majority", "markov-3", "linear-no-rates", "boosted-trees-no-rates", "cnn-bigru-no-rates")
"""What is compared if nothing else is asked for. Rates of items would rest on the whole past at each size."""
_FILE_WIDTH = 160


@dataclass(frozen=True, slots=True)
class CurveOptions:
    """What was asked for. `sizes` empty: doubling from 500 sessions to all."""

    files: tuple[Path, ...]
    sizes: tuple[int, ...] = ()
    train: float = 0.6
    valid: float = 0.1
    seeds: int = 1
    jobs: int = 1
    models: tuple[str, ...] = MODELS
    idle_ms: int = 30 * 60_000
    currency: str = "EUR"
    picture: Path | None = None
    json: Path | None = None


def run_learning_curve(options: CurveOptions) -> int:
    """Measure every file, print a table each, draw the picture, write the JSON; returns the exit code."""
    errors = Console(stderr=True)
    try:
        import models.next_action.evaluation.contenders  # noqa: F401  # says what is missing before the work
    except ModuleNotFoundError as exc:
        return say_missing(errors, exc)
    try:
        curves = {title_of(path): _measure(path, options, errors) for path in options.files}
    except (ValueError, OSError) as exc:
        return say_failure(errors, exc)
    console = open_console(_FILE_WIDTH)
    for title, points in curves.items():
        console.print(make_table(title, points))
    if options.picture is not None:
        draw(curves, options.picture)
    plain = {title: [asdict(point) for point in points] for title, points in curves.items()}
    return save_json(errors, options.json, plain)


def _measure(path: Path, options: CurveOptions, errors: Console) -> list["Point"]:
    from models.next_action.evaluation.contenders import choose
    from models.next_action.evaluation.curve import measure_curve
    from models.next_action.evaluation.fitting import Plan

    rows, _ = choose(options.models)
    with make_progress(errors, title_of(path)) as progress:
        events = read_events(path, progress, currency=options.currency)
        cases = prefixes_of(events, idle_ms=options.idle_ms)
        task = progress.add_task("sizes")

        def on_size(name: str, done: int, total: int) -> None:
            progress.update(task, description=name or "sizes", completed=done, total=total)

        try:
            return measure_curve(
                cases,
                rows,
                train=options.train,
                valid=options.valid,
                sizes=options.sizes,
                plan=Plan(range(options.seeds), tries=1, jobs=options.jobs),
                progress=on_size,
            )
        except ValueError as exc:
            raise ValueError(f"{title_of(path)}: {exc}") from exc


def make_table(title: str, points: Sequence["Point"]) -> Table:
    """One row per size; for each model log loss and the purchase's PR-AUC."""
    names = list(dict.fromkeys(point.name for point in points))
    table = Table(
        title=f"{title}: log loss of the next action / PR-AUC of the purchase", title_justify="left"
    )
    for name in ("sessions", "with a purchase", *names):
        table.add_column(name, justify="right")
    for size in dict.fromkeys(point.sessions for point in points):
        own = {point.name: point for point in points if point.sessions == size}
        cells = [f"{own[name].log_loss:.3f} / {own[name].purchase_pr_auc:.3f}" for name in names]
        table.add_row(f"{size:,}", f"{own[names[0]].buying:,}", *cells)
    return table


def draw(curves: dict[str, list["Point"]], path: Path) -> None:
    """Both figures over the number of sessions, one row of panels per file; needs the extra [train]."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(curves), 2, figsize=(10.4, 4.0 * len(curves)), squeeze=False)
    panels = (("log_loss", "log loss of the next action"), ("purchase_pr_auc", "PR-AUC of the purchase"))
    for row, (title, points) in zip(axes, curves.items(), strict=True):
        for axis, (metric, label) in zip(row, panels, strict=True):
            for name in dict.fromkeys(point.name for point in points):
                own = [point for point in points if point.name == name]
                axis.plot(
                    [p.sessions for p in own], [getattr(p, metric) for p in own], "o-", ms=4, label=name
                )
            axis.set(xscale="log", title=title, xlabel="sessions to learn from", ylabel=label)
            axis.spines[["top", "right"]].set_visible(False)
        row[0].legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path)
