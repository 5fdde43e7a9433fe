"""Alerts of the demo's simulated shop, judged by what its visitors did: the share worth acting on."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contracts.alerts import CART_ABANDONED, FLAT_KINDS, Alert, Severity
from contracts.settings import Settings
from contracts.visitor import Action
from models.next_action.predictor import load, load_shipped
from models.next_action.prefixes import actions_by_visitor, prefixes_of_visitors
from ops.demo.traffic import configure_shop
from ops.learning.alert_evaluation import PURCHASE, fire_alerts, score_visitors
from ops.learning.shop_events import SIMULATED_FROM_MS
from producers.simulator.accounts import with_accounts
from producers.simulator.simulation import simulate
from stream.alerts.registry import AlertRules
from stream.visitors.session import SessionSettings

HISTORY_MIN = 30
"""As in the demo: alerts that fire within it are not shown as live, so they are not judged."""


@dataclass(frozen=True, slots=True)
class DemoTrial:
    """Alerts of each kind and severity that fired, and those of them worth acting on."""

    minutes: float
    act_within_minutes: float
    seed: int
    version: str
    fired: Counter[tuple[str, Severity]]
    actionable: Counter[tuple[str, Severity]]


def judge_demo(
    minutes: float, act_within_minutes: float, *, seed: int, model: Path | None, settings: Settings
) -> DemoTrial:
    """Fire the alerts of the demo's shop through the stream's own steps, and judge those of these minutes.

    The simulation goes on behind them for as long as a session or `act_within_minutes` can take, so that it
    is known of each alert how it ended.
    """
    predictor = load(model) if model is not None else load_shipped()
    rules = AlertRules.of(settings)
    from_ms = SIMULATED_FROM_MS + HISTORY_MIN * 60_000
    to_ms = from_ms + round(minutes * 60_000)
    within_ms = round(act_within_minutes * 60_000)
    end_ms = to_ms + max(within_ms, 2 * settings.idle_ms)
    shop = configure_shop(settings, start_ms=SIMULATED_FROM_MS, end_ms=end_ms)
    by_visitor = actions_by_visitor(with_accounts(simulate(shop, seed), seed))
    cases = prefixes_of_visitors(by_visitor.values(), idle_ms=settings.idle_ms)
    sessions = SessionSettings(settings.idle_ms, settings.disorder_ms)
    fired: Counter[tuple[str, Severity]] = Counter()
    actionable: Counter[tuple[str, Severity]] = Counter()
    for alert in fire_alerts(score_visitors(by_visitor, cases, predictor, sessions), rules):
        if from_ms <= alert.fired_ms < to_ms:
            group = alert.kind, alert.severity
            fired[group] += 1
            actionable[group] += is_actionable(
                alert, by_visitor[alert.subject.id], idle_ms=settings.idle_ms, within_ms=within_ms
            )
    return DemoTrial(minutes, act_within_minutes, seed, predictor.version, fired, actionable)


def is_actionable(alert: Alert, actions: Sequence[Action], *, idle_ms: int, within_ms: int) -> bool:
    """Whether acting on an alert was worth it, by all actions of its visitor in order of time.

    There was a cart, and without anybody's doing the visitor bought nothing: within `within_ms` of a
    `cart_abandoned`, or in the rest of the session of a `churn_risk`.
    """
    if not alert.detail.cart_lines:
        return False
    at = bisect_right(actions, alert.fired_ms, key=lambda action: action.at_ms)
    if alert.kind == CART_ABANDONED:
        return not any(a.rank == PURCHASE and a.at_ms <= alert.fired_ms + within_ms for a in actions[at:])
    last_ms = actions[at - 1].at_ms
    for action in actions[at:]:
        if action.at_ms - last_ms > idle_ms:
            break
        if action.rank == PURCHASE:
            return False
        last_ms = action.at_ms
    return True


def print_demo(trial: DemoTrial, console: Console) -> None:
    """The table, and what its columns mean."""
    table = Table(title=f"demo, {trial.minutes:g} minutes, seed {trial.seed}, model {trial.version}")
    for name in ("alert", "severity", "fired", "worth acting on", "share"):
        table.add_column(name, justify="left" if name in ("alert", "severity") else "right")
    for kind in FLAT_KINDS:
        for severity in Severity:
            _add_row(table, kind, severity, trial.fired[kind, severity], trial.actionable[kind, severity])
        _add_row(table, kind, "all", _sum(trial.fired, kind), _sum(trial.actionable, kind))
    _add_row(table, "either", "all", trial.fired.total(), trial.actionable.total())
    console.print(table)
    console.print(
        "worth acting on: with something in the cart, and then, by what the simulated visitor did, nothing "
        f"bought: within {trial.act_within_minutes:g} minutes of a cart_abandoned, or in the rest of the "
        "session of a churn_risk."
    )


def _sum(counts: Mapping[tuple[str, Severity], int], kind: str) -> int:
    return sum(count for (of_kind, _), count in counts.items() if of_kind == kind)


def _add_row(table: Table, kind: str, severity: str, fired: int, actionable: int) -> None:
    share = f"{actionable / fired:.1%}" if fired else "-"
    table.add_row(kind, str(severity), f"{fired:,}", f"{actionable:,}", share)
