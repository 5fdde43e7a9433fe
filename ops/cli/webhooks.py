"""Commands about webhooks: endpoints over the API, and a receiver to try them with."""

from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.alerts import AlertState, Severity, kind_names
from contracts.clock import wall_clock_ms
from ops.cli.alert_kinds import check_kinds
from ops.cli.options import JsonOption, StateOption, UrlOption
from ops.stack.record import DEFAULT_STATE

IdArgument = Annotated[str, typer.Argument(metavar="WEBHOOK_ID", help="As `list` shows it: ep_...")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    webhooks = typer.Typer(help="Webhooks: receivers of alerts over HTTP.", no_args_is_help=True)
    for name, command in (
        ("add", add),
        ("list", list_all),
        ("show", show),
        ("test", send_test),
        ("rotate", rotate),
        ("pause", pause),
        ("resume", resume),
        ("remove", remove),
        ("deliveries", deliveries),
        ("resend", resend),
        ("replay", replay),
        ("listen", listen),
    ):
        webhooks.command(name)(command)
    app.add_typer(webhooks, name="webhooks")


def add(
    target: Annotated[str, typer.Argument(metavar="URL", help="https://HOST/PATH of the receiver.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help=f"Only this kind: {', '.join(kind_names())}; may be repeated."),
    ] = None,
    on: Annotated[
        list[AlertState] | None,
        typer.Option(
            metavar="STATE",
            help=f"Only alerts that enter this state: {', '.join(AlertState)}; may be repeated.",
        ),
    ] = None,
    severity: Annotated[
        Severity,
        typer.Option(
            "--min-severity",
            "--severity",
            metavar="LEVEL",
            help=f"Only of this severity or higher: {', '.join(Severity)}.",
        ),
    ] = Severity.LOW,
    min_value: Annotated[
        int,
        typer.Option(
            metavar="AMOUNT", help="Only carts worth this or more, in minor units: 5000 is 50.00.", min=0
        ),
    ] = 0,
    quiet_hours: Annotated[
        str, typer.Option(help="HH:MM-HH:MM in the shop's time zone: hold messages until they end.")
    ] = "",
    description: Annotated[str, typer.Option(help="For people.")] = "",
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Register a receiver and print its secret. Copy it now; it cannot be shown again.

    Example: storepulse webhooks add https://crm.example.com/storepulse --kind cart_abandoned
    """
    from ops.stack.record import find_settings

    check_kinds(find_settings(state), *(kind or []))
    body = {
        "url": target,
        "description": description,
        "kinds": list(kind or []),
        "states": list(on or []),
        "min_severity": severity,
        "min_value_minor": min_value,
        "quiet_hours": quiet_hours,
    }
    _run("POST", "", body, url, state, json)


def list_all(url: UrlOption = None, state: StateOption = DEFAULT_STATE, json: JsonOption = False) -> None:
    """List all endpoints and their state."""
    _run("GET", "", None, url, state, json)


def show(
    webhook_id: IdArgument,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one endpoint."""
    _run("GET", f"/{_quote(webhook_id)}", None, url, state, json)


def send_test(
    webhook_id: IdArgument,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Send a test message now; the exit code is 1 if it was not received."""
    _run("POST", f"/{_quote(webhook_id)}/test", None, url, state, json)


def rotate(
    webhook_id: IdArgument,
    overlap_h: Annotated[
        float, typer.Option(help="Hours for which the old secret stays valid.", min=0, max=168)
    ] = 24,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Create a new secret and print it. Copy it now; it cannot be shown again."""
    _run("POST", f"/{_quote(webhook_id)}/rotate", {"overlap_h": overlap_h}, url, state, json)


def pause(
    webhook_id: IdArgument,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Pause an endpoint; new alerts are kept for later."""
    _run("PATCH", f"/{_quote(webhook_id)}", {"state": "paused"}, url, state, json)


def resume(
    webhook_id: IdArgument,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Resume a paused or disabled endpoint."""
    _run("PATCH", f"/{_quote(webhook_id)}", {"state": "active"}, url, state, json)


def remove(
    webhook_id: IdArgument,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete an endpoint and its deliveries."""
    _run("DELETE", f"/{_quote(webhook_id)}", None, url, state, json)


def deliveries(
    webhook_id: IdArgument,
    limit: Annotated[int, typer.Option(help="Maximum number to show, newest first.", min=1, max=200)] = 20,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show deliveries and their results."""
    _run("GET", f"/{_quote(webhook_id)}/deliveries?limit={limit}", None, url, state, json)


def resend(
    webhook_id: IdArgument,
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="As `deliveries` shows it.")],
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Send one delivery again, with the same id."""
    path = f"/{_quote(webhook_id)}/deliveries/{_quote(delivery_id)}/resend"
    _run("POST", path, None, url, state, json)


def replay(
    webhook_id: IdArgument,
    since: Annotated[
        str, typer.Option(help="What was published since: 2025-10-01T08:00:00Z, or a span such as 2h.")
    ],
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Send everything again that was published since a time, with the same ids.

    Example: storepulse webhooks replay ep_3f1c7a90b2d4e865 --since 2h
    """
    from ops.alerts.tail import parse_since

    try:
        since_ms = parse_since(since, wall_clock_ms())
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--since") from exc
    _run("POST", f"/{_quote(webhook_id)}/replay", {"since": str(since_ms)}, url, state, json)


def listen(
    port: Annotated[int, typer.Option(help="Port to listen on, this machine only; 0: a free one.")] = 9999,
    secret: Annotated[
        str,
        typer.Option(
            envvar="STOREPULSE_WEBHOOK_SECRET",
            help="Secret of the endpoint; better set by the variable.",
            show_default=False,
        ),
    ] = "",
    fail: Annotated[
        int, typer.Option(help="Status to answer with instead of 204, for testing.", min=200, max=599)
    ] = 204,
    count: Annotated[int | None, typer.Option(help="Stop after this many messages.", min=1)] = None,
    json: JsonOption = False,
) -> None:
    """Receive messages on this machine, verify them, and print each.

    For a stack with STOREPULSE_WEBHOOK_ALLOW_PRIVATE=true: add http://127.0.0.1:9999/. Without a secret
    nothing is verified, and every line says so.
    """
    from ops.webhooks.listener import ListenOptions, run_listener

    try:
        options = ListenOptions(port, secret, fail, count, json)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--secret") from exc
    raise typer.Exit(run_listener(options))


def _run(
    method: str, path: str, body: dict[str, Any] | None, url: str | None, state: Path, as_json: bool
) -> None:
    from ops.api_client.calls import ApiCalls
    from ops.stack.record import find_settings
    from ops.webhooks.commands import run_call

    calls = ApiCalls.of(find_settings(state), url)
    raise typer.Exit(run_call(calls, method, f"/v1/webhooks{path}", body, as_json=as_json))


def _quote(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
