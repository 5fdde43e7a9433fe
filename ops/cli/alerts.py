"""Commands about alerts."""

from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.alerts import Severity, Verdict
from contracts.clock import wall_clock_ms
from contracts.subjects import InvalidSubject, Subject, parse_subject
from ops.cli.alert_kinds import KIND_METAVAR, check_kinds
from ops.cli.options import JsonOption, StateOption, UrlOption
from ops.stack.record import DEFAULT_STATE

KindOption = Annotated[str | None, typer.Option(help="Only of this kind.", metavar=KIND_METAVAR)]
SubjectOption = Annotated[
    str | None,
    typer.Option(help="Only about this subject: visitor:ID, product:ID or site.", metavar="SUBJECT"),
]
SeverityOption = Annotated[Severity | None, typer.Option(help="Only of this severity.")]
MinSeverityOption = Annotated[Severity | None, typer.Option(help="Only of this severity or higher.")]
MinValueOption = Annotated[
    int | None,
    typer.Option(help="Only carts worth this or more, in minor units: 5000 is 50.00.", min=1),
]
SinceOption = Annotated[
    str | None,
    typer.Option(help="Start at this event time: 2025-10-01T08:00:00Z, or a span before now such as 30m."),
]
IdArgument = Annotated[str, typer.Argument(metavar="ALERT_ID", help="`alert_id` of the alert.")]
UndoOption = Annotated[bool, typer.Option("--undo", help="Undo it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    alerts = typer.Typer(help="Follow, export and handle alerts.", no_args_is_help=True)
    alerts.command("tail")(tail)
    alerts.command("ack")(acknowledge)
    alerts.command("snooze")(snooze)
    alerts.command("feedback")(judge)
    alerts.command("export")(export)
    app.add_typer(alerts, name="alerts")


def tail(
    kind: KindOption = None,
    severity: SeverityOption = None,
    min_severity: MinSeverityOption = None,
    min_value: MinValueOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for new ones until Ctrl-C.")
    ] = True,
    url: Annotated[
        str | None,
        typer.Option(help="Follow the stream of this API instead of Redis. Key: STOREPULSE_API_KEY."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show alerts as they fire and end: the newest ten, then each new one.

    Example: storepulse alerts tail --kind churn_risk --min-severity medium
    """
    from ops.alerts.commands import run_stream
    from ops.alerts.tail import TailOptions, run_tail
    from ops.stack.record import find_settings
    from readers.alerts.log import AlertFilter

    since_ms, about = _parse_since(since), _parse_subject(subject)
    settings = find_settings(state)
    check_kinds(settings, kind)
    query = _query(kind, severity, min_severity, min_value, subject)
    if url is not None:
        if since is not None or not follow:
            raise typer.BadParameter(
                "the stream begins now: no --since and no --no-follow", param_hint="--url"
            )
        raise typer.Exit(run_stream(_calls(state, url), query, as_json=json))
    wanted = AlertFilter(
        kind=kind,
        severity=severity,
        since_ms=since_ms,
        min_severity=min_severity,
        min_value_minor=min_value,
        subject=about,
    )
    raise typer.Exit(run_tail(settings, TailOptions(wanted, follow, json)))


def acknowledge(
    alert_id: IdArgument,
    undo: UndoOption = False,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Acknowledge an alert: somebody is taking care of it."""
    _say(alert_id, "acknowledge", None, undo=undo, url=url, state=state, as_json=json)


def snooze(
    alert_id: IdArgument,
    for_: Annotated[str, typer.Option("--for", help="How long, at most 7 days: 30m, 2h, 1d.")] = "1h",
    undo: UndoOption = False,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Mute this kind of alert for this visitor for a while, in streams and webhooks."""
    from ops.alerts.tail import parse_span

    try:
        body = {"for_s": parse_span(for_) // 1_000}
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--for") from exc
    _say(alert_id, "snooze", body, undo=undo, url=url, state=state, as_json=json)


def judge(
    alert_id: IdArgument,
    verdict: Annotated[Verdict | None, typer.Argument(help="Leave it out with --undo.")] = None,
    note: Annotated[str | None, typer.Option(help="A note for people.")] = None,
    undo: UndoOption = False,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Mark an alert as useful or wrong; this counts in the figures of /v1/models."""
    if (verdict is None) is not undo:
        raise typer.BadParameter("useful or wrong, or --undo", param_hint="VERDICT")
    body = {"verdict": verdict} if note is None else {"verdict": verdict, "note": note}
    _say(alert_id, "feedback", body, undo=undo, url=url, state=state, as_json=json)


def export(
    out: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
    kind: KindOption = None,
    severity: SeverityOption = None,
    min_severity: MinSeverityOption = None,
    min_value: MinValueOption = None,
    subject: SubjectOption = None,
    since: SinceOption = None,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Export all stored alert steps as CSV.

    Example: storepulse alerts export --since 1d --out alerts.csv
    """
    from ops.alerts.commands import run_export
    from ops.stack.record import find_settings

    check_kinds(find_settings(state), kind)
    since_ms = _parse_since(since)
    _parse_subject(subject)
    query = _query(kind, severity, min_severity, min_value, subject) | (
        {} if since_ms is None else {"since": str(since_ms)}
    )
    raise typer.Exit(run_export(_calls(state, url), query, out))


def _say(
    alert_id: str,
    part: str,
    body: dict[str, Any] | None,
    *,
    undo: bool,
    url: str | None,
    state: Path,
    as_json: bool,
) -> None:
    from ops.alerts.commands import run_say

    body = None if undo else body
    raise typer.Exit(run_say(_calls(state, url), alert_id, part, body, undo=undo, as_json=as_json))


def _calls(state: Path, url: str | None) -> Any:
    from ops.api_client.calls import ApiCalls
    from ops.stack.record import find_settings

    return ApiCalls.of(find_settings(state), url)


def _query(
    kind: str | None,
    severity: Severity | None,
    min_severity: Severity | None,
    min_value: int | None,
    subject: str | None,
) -> dict[str, str]:
    given = {
        "kind": kind,
        "severity": severity,
        "min_severity": min_severity,
        "min_value_minor": min_value,
        "subject": subject,
    }
    return {name: str(value) for name, value in given.items() if value}


def _parse_subject(text: str | None) -> Subject | None:
    try:
        return None if text is None else parse_subject(text)
    except InvalidSubject as exc:
        raise typer.BadParameter(str(exc), param_hint="--subject") from exc


def _parse_since(text: str | None) -> int | None:
    from ops.alerts.tail import parse_since

    try:
        return None if text is None else parse_since(text, wall_clock_ms())
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--since") from exc
