"""`storepulse evaluate alerts --online`: the stream's alerts on a shop's past, within their budgets."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contracts.alert_budgets import parse_budgets
from contracts.settings import Settings
from models.artefacts.card import ArtefactError
from models.next_action.predictor import load, load_shipped
from ops.learning.alert_evaluation import AlertTrial, Fired, judge_alerts
from ops.learning.alert_replay import ReplayedAlerts, replay_alerts
from ops.learning.results import EXIT_ERROR, open_console
from ops.learning.shop_events import make_progress, read_events, title_of
from sources import UnknownFormat

_FILE_WIDTH = 160
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class OnlineAlertOptions:
    """What was asked for. `model` None: the shipped one."""

    files: tuple[Path, ...]
    model: Path | None = None
    currency: str = "EUR"


def trials_of(replayed: ReplayedAlerts, settings: Settings) -> list[AlertTrial]:
    """The trials of the alerts in sessions that are over for sure."""
    by_place = {(session.user_id, session.number): session for session in replayed.sessions}
    fired = [
        Fired(by_place[place], alert.kind, alert.fired_ms)
        for alert in replayed.firings
        if (place := (alert.subject.id, alert.detail.session)) in by_place
    ]
    return judge_alerts(replayed.sessions, fired, settings.churn_fire, settings.idle_ms)


def run_online_alerts(options: OnlineAlertOptions) -> int:
    """Replay every file and print its table; returns the exit code."""
    errors, settings = Console(stderr=True), Settings()
    console = open_console(_FILE_WIDTH)
    try:
        model = load_shipped() if options.model is None else load(options.model)
        for path in options.files:
            with make_progress(errors, title_of(path)) as progress:
                events = read_events(path, progress, currency=options.currency)
                progress.add_task("replaying", total=None)
                replayed = replay_alerts(list(events), model, settings)
            print_rows(title_of(path), replayed, settings, console)
    except (OSError, ValueError, UnknownFormat, ArtefactError) as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_ERROR
    return 0


def print_rows(title: str, replayed: ReplayedAlerts, settings: Settings, console: Console) -> None:
    """The table of one shop, and what its columns mean."""
    trials = trials_of(replayed, settings)
    first = trials[0]
    table = Table(
        title=f"{title}: {replayed.begun:,} sessions, {first.sessions:,} with a cart, {first.lost:,} of them "
        f"lost (base rate {first.base_rate:.3f}); budgets {settings.alert_budgets or 'none'}"
    )
    for name in (
        "alert", "alerts", "per session", "without a cart", "right", "lost reached", "while acting",
        "precision", "lead",
    ):  # fmt: skip
        table.add_column(name, justify="left" if name == "alert" else "right")
    for trial in trials:
        table.add_row(
            trial.name, f"{trial.alerts:,}", f"{trial.alerts / max(1, replayed.begun):.2%}",
            f"{trial.outside:,}", f"{trial.right:.3f}", f"{trial.reached:.1%}", f"{trial.reached_acting:.1%}",
            f"{trial.precision:.3f}", f"{trial.lead_s / 60:.1f} min",
        )  # fmt: skip
    console.print(table)
    withheld = ", ".join(f"{name} {number:,}" for name, number in sorted(replayed.withheld.items()))
    console.print(
        "Of sessions whose end the data hold. right: nothing more was bought in it; lost reached: with "
        "an alert before the last minute of the session; while acting: before the last minute of acting. "
        f"Withheld, each time an alert was wanted: {withheld or 'nothing'}."
    )
    for kind, budget in parse_budgets(settings.alert_budgets).items():
        fired = sum(alert.kind == kind for alert in replayed.firings)
        allowed = budget.share * replayed.begun or budget.per_hour * (
            (replayed.last_ms - replayed.first_ms) / _HOUR_MS
        )
        console.print(f"{kind}: {fired:,} of {allowed:,.0f} that its budget allows ({fired / allowed:.1%})")
