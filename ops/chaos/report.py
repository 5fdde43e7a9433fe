"""What a campaign shows: one line while it runs, tables or JSON at its end."""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table

from ops.chaos.campaign import RECOVERY_LIMIT_S, Campaign, Plan, quantile, run_campaign
from ops.child import StartError
from ops.kafka_jars import JarsError

EXIT_FAILED = 1
_SHOWN_DIFFERENCES = 20


def run_chaos(plan: Plan, *, as_json: bool, keep: Path | None) -> int:
    """Run a campaign, show it on stderr and its outcome on stdout; 0 if it passed, else 1.

    Data and logs go to `keep`, or to a temporary folder that is deleted at the end.
    """
    errors = Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory(prefix="storepulse-chaos-") as folder, errors.status("") as status:
            campaign = run_campaign(plan, keep or Path(folder), lambda now: status_line(status, now))
    except (StartError, JarsError) as exc:
        errors.print(str(exc), markup=False)
        return EXIT_FAILED
    if as_json:
        typer.echo(orjson.dumps(summary(campaign), option=orjson.OPT_INDENT_2))
    else:
        show(campaign, Console())
    return 0 if campaign.passed else EXIT_FAILED


def status_line(status: Status, campaign: Campaign) -> None:
    """Refresh the line that says what is going on."""
    done = sum(len(times) for times in campaign.recoveries_s.values())
    elapsed_s = time.monotonic() - campaign.began_s
    status.update(
        f"{elapsed_s:.0f} of {campaign.plan.minutes * 60:.0f} s, {campaign.doing}: {done} faults, "
        f"{campaign.sent:,} sent, {campaign.applied:,} applied, slowest recovery {campaign.slowest_s:.1f} s"
    )


def summary(campaign: Campaign) -> dict[str, Any]:
    """The outcome as plain values; recovery times in seconds."""
    verdict = campaign.verdict
    counts = {
        name: getattr(verdict, name) if verdict else None
        for name in ("sent", "in_log", "distinct", "applied", "broken", "rejected", "lost", "doubled")
    }
    alerts = asdict(verdict.alerts) if verdict else None
    if alerts is not None:
        del alerts["differences"]  # they are among those of the verdict
    return {
        "passed": campaign.passed,
        "failure": campaign.failure or None,
        "seed": campaign.plan.seed,
        "minutes": campaign.plan.minutes,
        "events_per_s": campaign.plan.events_per_s,
        **counts,
        "alerts": alerts,
        "differences": verdict.differences if verdict else None,
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
    """Print the counts, the recoveries, what differs, and the verdict."""
    facts = summary(campaign)
    console.print(_recovery_table(facts["recovery_s"]))
    if campaign.verdict is not None:
        console.print(
            "sent {sent:,} records, {distinct:,} events and {broken:,} broken; "
            "applied {applied:,}, rejected {rejected:,}, lost {lost:,}, doubled {doubled:,}".format(**facts)
        )
        console.print(
            "alerts: {sent:,} steps sent ({fired:,} fired, {resolved:,} resolved, {expired:,} expired), "
            "{repeated:,} repeated in Kafka, {expected:,} abandoned-cart steps expected, "
            "lost {lost:,}, doubled {doubled:,}".format(**facts["alerts"])
        )
        for line in campaign.verdict.differences[:_SHOWN_DIFFERENCES]:
            console.print(line, markup=False)
    if campaign.failure:
        console.print(campaign.failure, markup=False)
    console.print(_verdict_line(campaign))


def _recovery_table(recoveries: dict[str, dict[str, float]]) -> Table:
    table = Table(title="Recovery, in seconds from the harm until every partition commits again")
    table.add_column("fault")
    for name in ("faults", "p50", "p99", "max"):
        table.add_column(name, justify="right")
    for kind, row in recoveries.items():
        table.add_row(kind, str(row["faults"]), *(f"{row[name]:.1f}" for name in ("p50", "p99", "max")))
    return table


def _verdict_line(campaign: Campaign) -> str:
    if campaign.passed:
        return (
            f"PASSED: every total is exact, the slowest recovery took {campaign.slowest_s:.1f} s "
            f"(limit {RECOVERY_LIMIT_S:.0f} s)"
        )
    reasons = []
    if campaign.failure or campaign.verdict is None:
        reasons.append("it could not be finished")
    elif not campaign.verdict.exact:
        reasons.append(f"{len(campaign.verdict.differences)} totals differ")
    if campaign.slowest_s > RECOVERY_LIMIT_S:
        reasons.append(f"a recovery took {campaign.slowest_s:.1f} s (limit {RECOVERY_LIMIT_S:.0f} s)")
    return f"FAILED: {', '.join(reasons)}"
