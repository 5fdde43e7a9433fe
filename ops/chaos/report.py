"""What a campaign shows: one line while it runs, tables or JSON at its end."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table

from ops.audit import ChurnAudit
from ops.chaos.campaign import RECOVERY_LIMIT_S, Campaign, Plan, quantile, run_campaign
from ops.chaos.run_audit import RunAudit
from ops.stack.child import StartError
from ops.stack.kafka_jars import JarsError
from producers.plain_output import SeldomLines

EXIT_FAILED = 1
_SHOWN_DIFFERENCES = 20
_COUNTS = (
    "sent",
    "in_log",
    "distinct",
    "applied",
    "broken",
    "rejected",
    "customers",
    "sessions",
    "lists",
    "archived",
    "lost",
    "doubled",
)


def run_chaos(plan: Plan, *, as_json: bool, keep: Path | None) -> int:
    """Run a campaign, show it on stderr and its outcome on stdout; 0 if it passed, else 1.

    Data and logs go to `keep`, or to a temporary folder that is deleted at the end.
    """
    errors = Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory(prefix="storepulse-chaos-") as folder, errors.status("") as status:
            lines = SeldomLines(errors)
            campaign = run_campaign(plan, keep or Path(folder), lambda now: status_line(status, lines, now))
    except (StartError, JarsError) as exc:
        errors.print(str(exc), markup=False)
        return EXIT_FAILED
    if as_json:
        typer.echo(orjson.dumps(summary(campaign), option=orjson.OPT_INDENT_2))
    else:
        show(campaign, Console())
    return 0 if campaign.passed else EXIT_FAILED


def status_line(status: Status, lines: SeldomLines, campaign: Campaign) -> None:
    """Refresh the line that says what is going on."""
    done = sum(len(times) for times in campaign.recoveries_s.values())
    elapsed_s = time.monotonic() - campaign.began_s
    text = (
        f"{elapsed_s:.0f} of {campaign.plan.minutes * 60:.0f} s, {campaign.doing}: {done} faults, "
        f"{campaign.sent:,} sent, {campaign.applied:,} applied, slowest recovery {campaign.slowest_s:.1f} s"
    )
    status.update(text)
    lines.say(text)


def summary(campaign: Campaign) -> dict[str, Any]:
    """The outcome as plain values; recovery times in seconds."""
    audit = campaign.audit
    counts = {name: getattr(audit, name) if audit else None for name in _COUNTS}
    alerts = asdict(audit.alerts) if audit else None
    if alerts is not None:
        del alerts["differences"]  # they are among those of the audit
    return {
        "passed": campaign.passed,
        "failure": campaign.failure or None,
        "seed": campaign.plan.seed,
        "minutes": campaign.plan.minutes,
        "events_per_s": campaign.plan.events_per_s,
        "scoring_budget_ms": campaign.plan.scoring_budget_ms,
        **counts,
        "left_out": audit.left_out if audit else None,
        "alerts": alerts,
        "differences": audit.differences if audit else None,
        "recovery_s": {
            kind: {
                "faults": len(times),
                "p50": round(quantile(times, 0.5), 2),
                "p99": round(quantile(times, 0.99), 2),
                "max": round(max(times), 2),
            }
            for kind, times in sorted(campaign.recoveries_s.items())
        },
        "recovery_limit_s": RECOVERY_LIMIT_S,
        "slowest_recovery_s": round(campaign.slowest_s, 2),
    }


def show(campaign: Campaign, console: Console) -> None:
    """Print the recoveries, the counts, what differs, and the audit."""
    console.print(_recovery_table(summary(campaign)["recovery_s"]))
    if campaign.audit is not None:
        console.print(_counts(campaign.audit))
        differences = campaign.audit.differences
        for line in differences[:_SHOWN_DIFFERENCES]:
            console.print(line, markup=False)
        if len(differences) > _SHOWN_DIFFERENCES:
            console.print(f"and {len(differences) - _SHOWN_DIFFERENCES} more; --json has them all")
    if campaign.failure:
        console.print(campaign.failure, markup=False)
    console.print(_result_line(campaign))


def _recovery_table(recoveries: dict[str, dict[str, float]]) -> Table:
    table = Table(title="Seconds until every partition commits again", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("fault")
    for name in ("times", "median", "slowest"):
        table.add_column(name, justify="right")
    for kind, row in recoveries.items():
        table.add_row(kind, str(row["faults"]), f"{row['p50']:.1f}", f"{row['max']:.1f}")
    return table


def _counts(audit: RunAudit) -> Table:
    alerts = audit.alerts
    repeats = audit.sent - audit.distinct - audit.broken
    grid = Table.grid(padding=(0, 2))
    for name, text in (
        ("events", f"{audit.distinct:,} sent, {audit.applied:,} applied; {repeats:,} were sent twice"),
        ("broken records", f"{audit.broken:,} sent, {audit.rejected:,} rejected"),
        *_archive_rows(audit),
        *_list_rows(audit),
        ("customers", f"orders and money of {audit.customers:,} compared with their records"),
        ("sessions", f"{audit.sessions:,} kept for recommendations, compared with what was sent"),
        (
            "alerts",
            f"{alerts.fired:,} fired, {alerts.resolved:,} resolved, {alerts.expired:,} expired",
        ),
        ("", f"{alerts.repeated:,} repeats in Kafka, which readers drop by their id"),
        ("cart_abandoned", f"{alerts.expected:,} steps expected by a replay of what came in time"),
        *_churn_rows(alerts.churn),
        *_left_out_rows(audit),
        ("lost", f"{audit.lost:,} events, {alerts.lost:,} steps of alerts"),
        ("doubled", f"{audit.doubled:,} events, {alerts.doubled:,} steps of alerts"),
    ):
        grid.add_row(name, text)
    return grid


def _list_rows(audit: RunAudit) -> Iterator[tuple[str, str]]:
    if audit.lists is not None:
        yield "recommendations", f"{audit.lists:,} lists in Redis, each compared with that in the topic"


def _archive_rows(audit: RunAudit) -> Iterator[tuple[str, str]]:
    if audit.archived is not None:
        yield "archive", f"{audit.archived:,} records, each compared with what was sent"


def _left_out_rows(audit: RunAudit) -> Iterator[tuple[str, str]]:
    if audit.left_out:
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(audit.left_out.items()))
        yield "left out", f"for want of time, by the workers there at the end since their start: {kinds}"


def _churn_rows(churn: ChurnAudit) -> Iterator[tuple[str, str]]:
    yield (
        "churn_risk",
        f"{churn.fired:,} fired; scored again {churn.replayed:,} are right, {churn.invented:,} invented",
    )
    if churn.forgotten:
        yield "", f"{churn.forgotten:,} more found in Kafka, from before Redis lost data"
    yield "", f"{churn.required:,} had to be there whatever the batches were, {churn.lost:,} lost"
    yield (
        "scores",
        f"{churn.scored:,} made, {churn.skipped:,} skipped in the batches Redis has; "
        f"of those in states and abandoned carts {churn.scores:,} as replayed, {churn.unlike:,} not",
    )
    if churn.worthy:
        yield "", f"{churn.worthy:,} with a cart or intent after the last fault, {churn.unscored:,} unscored"
    if churn.exempt:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(churn.exempt.items()))
        yield "not checked", reasons


def _result_line(campaign: Campaign) -> str:
    if campaign.passed:
        return (
            "PASSED: nothing lost, nothing twice, every total as expected; "
            f"the slowest recovery took {campaign.slowest_s:.1f} s (limit {RECOVERY_LIMIT_S:.0f} s)"
        )
    reasons = []
    if campaign.failure or campaign.audit is None:
        reasons.append("it could not be finished")
    elif not campaign.audit.exact:
        number = len(campaign.audit.differences)
        reasons.append("1 difference" if number == 1 else f"{number} differences")
    if campaign.slowest_s > RECOVERY_LIMIT_S:
        reasons.append(f"a recovery took {campaign.slowest_s:.1f} s (limit {RECOVERY_LIMIT_S:.0f} s)")
    return f"FAILED: {', '.join(reasons)}"
