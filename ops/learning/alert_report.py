"""`storepulse evaluate alerts`: a table and a picture of what alerts come to at each threshold."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from contracts.alerts import CART_ABANDONED, CHURN_RISK
from contracts.events import Event
from contracts.settings import Settings
from models.next_action.predictor import load, load_shipped
from models.next_action.prefixes import actions_by_visitor, prefixes_of_visitors
from ops.learning.alert_evaluation import (
    ADDED,
    EITHER,
    NAMES,
    AlertTrial,
    held_back_sessions,
    score_visitors,
    try_threshold,
)
from ops.learning.demo_alerts import DemoTrial, judge_demo, print_demo
from ops.learning.results import EXIT_ERROR, open_console
from ops.learning.shop_events import make_progress, read_events, simulate_events, title_of
from stream.visitors.session import SessionSettings

_FILE_WIDTH = 200
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6)
_COLUMNS = (
    "alert", "fires under", "alerts", "without a cart", "right", "carts alerted", "lost reached",
    "while acting", "precision", "lead to end", "lead to last action",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """What was asked for. `model` None: the one that comes with Storepulse."""

    files: tuple[Path, ...]
    model: Path | None
    held_back_from: float
    simulated_days: float
    seed: int
    currency: str
    picture: Path | None
    demo_minutes: float
    act_within_minutes: float


@dataclass(frozen=True, slots=True)
class AlertReport:
    """What was measured: `trials` in the order of thresholds, one of each row."""

    title: str
    version: str
    held_back_from_ms: int
    trials: tuple[AlertTrial, ...]


def measure_alerts(
    title: str, events: Sequence[Event], *, model: Path | None, held_back_from: float, settings: Settings
) -> AlertReport:
    """Replay all events through the stream's own steps and judge the sessions of the held-back part.

    `held_back_from` is the share of the sessions that come before it, by start. Raises `ValueError` where
    that part has no session with a cart.
    """
    predictor = load(model) if model is not None else load_shipped()
    by_visitor = actions_by_visitor(events)
    cases = prefixes_of_visitors(by_visitor.values(), idle_ms=settings.idle_ms)
    (from_ms,) = cases.boundaries(held_back_from)
    rules = SessionSettings(settings.idle_ms, settings.disorder_ms)
    scored = score_visitors(by_visitor, cases, predictor, rules)
    sessions = held_back_sessions(scored, cases, from_ms=from_ms)
    if not any(session.has_cart for session in sessions):
        raise ValueError(f"{title}: the held-back part has no session with something in the cart")
    seen = {session.user_id for session in sessions}
    wanted = [one for one in scored if one.user_id in seen]
    trials = [
        trial
        for threshold in sorted({*THRESHOLDS, settings.churn_fire})
        for trial in try_threshold(wanted, sessions, settings, threshold)
    ]
    return AlertReport(title, predictor.version, from_ms, tuple(trials))


def make_table(report: AlertReport) -> Table:
    """One row per name and threshold; cart_abandoned does not depend on the threshold and comes once."""
    first = report.trials[0]
    table = Table(
        title=f"{report.title}: {first.sessions:,} held-back sessions with a cart, {first.lost:,} of them "
        f"lost (base rate {first.base_rate:.3f}), model {report.version}"
    )
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "alert" else "right")
    shown = set()
    for trial in sorted(report.trials, key=lambda t: (NAMES.index(t.name), t.threshold)):
        fixed = trial.name == CART_ABANDONED
        if fixed and trial.name in shown:
            continue
        shown.add(trial.name)
        table.add_row(
            trial.name, "-" if fixed else f"{trial.threshold:g}", f"{trial.alerts:,}", f"{trial.outside:,}",
            f"{trial.right:.3f}", f"{trial.alerted:,}", f"{trial.reached:.1%}", f"{trial.reached_acting:.1%}",
            f"{trial.precision:.3f}", _minutes(trial.lead_s), _minutes(trial.lead_acting_s),
        )  # fmt: skip
    return table


def print_report(report: AlertReport, console: Console) -> None:
    """The table, and what its columns mean."""
    console.print(make_table(report))
    console.print(
        "alerts: every one in the held-back sessions; without a cart: those in sessions in which nothing was "
        "put into one; right: the share after which nothing more was bought in the session. lost: something "
        "was put into the cart and nothing bought in the session, which ends half an hour after its last "
        "action. lost reached: lost sessions with an alert before their last minute; while acting: before "
        "the last minute in which the visitor did anything. precision: lost ones among the sessions with a "
        f"cart and an alert. Leads are medians. {ADDED}: the lost carts that only churn_risk reached in "
        "time, and its alerts that no cart_abandoned came before."
    )


def draw_report(reports: Sequence[AlertReport], path: Path) -> None:
    """Precision over the share of lost carts reached, one panel per report; needs the extra [train]."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(reports), figsize=(5.2 * len(reports), 4.2), squeeze=False)
    for axis, report in zip(axes[0], reports, strict=True):
        for name, colour in ((CHURN_RISK, "#2563eb"), (EITHER, "#16a34a")):
            trials = [t for t in report.trials if t.name == name and not math.isnan(t.precision)]
            axis.plot(
                [t.reached for t in trials], [t.precision for t in trials], "o-", color=colour, ms=4,
                label="churn_risk" if name == CHURN_RISK else "churn_risk or cart_abandoned",
            )  # fmt: skip
            for trial in trials[::2] if name == CHURN_RISK else ():
                axis.annotate(f"{trial.threshold:g}", (trial.reached, trial.precision), fontsize=7,
                              xytext=(3, 5), textcoords="offset points", color=colour)  # fmt: skip
        base = report.trials[0].base_rate
        axis.axhline(base, color="#6b7280", ls="--", lw=1, label=f"alerting on every cart ({base:.2f})")
        axis.axvline(0.7, color="#d1d5db", lw=1)
        axis.set(xlim=(0, 1.02), ylim=(min(0.4, base - 0.1), 1.01), title=report.title,
                 xlabel="lost carts reached before their last minute", ylabel="precision")  # fmt: skip
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(loc="lower left", fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path)


def _minutes(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds / 60:.1f} min"


def run_alert_evaluation(options: AlertOptions) -> int:
    """Measure every shop, print the tables, draw the picture; returns the exit code."""
    errors = Console(stderr=True)
    reports: list[AlertReport] = []
    demo: DemoTrial | None = None
    try:
        with make_progress(errors, "alerts") as progress:
            if options.demo_minutes:
                demo = judge_demo(
                    options.demo_minutes,
                    options.act_within_minutes,
                    seed=options.seed,
                    model=options.model,
                    settings=Settings(),
                )
            for title, events in _shops(options, progress):
                reports.append(
                    measure_alerts(
                        title,
                        list(events),
                        model=options.model,
                        held_back_from=options.held_back_from,
                        settings=Settings(),
                    )
                )
    except (ValueError, OSError) as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_ERROR
    console = open_console(_FILE_WIDTH)
    for report in reports:
        print_report(report, console)
    if demo is not None:
        print_demo(demo, console)
    if reports and options.picture is not None:
        draw_report(reports, options.picture)
    return 0


def _shops(options: AlertOptions, progress: Progress) -> Iterator[tuple[str, Iterable[Event]]]:
    for path in options.files:
        yield title_of(path), read_events(path, progress, currency=options.currency)
    if options.simulated_days:
        title = f"simulated shop, {options.simulated_days:g} days"
        yield title, simulate_events(options.simulated_days, progress, seed=options.seed)
    if not options.files and not options.simulated_days and not options.demo_minutes:
        raise ValueError("give files with --events FILE..., --simulate-days or --demo-minutes")
