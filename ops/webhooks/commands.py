"""What `storepulse webhooks` does with the API's answers: JSON, or lines and tables for people."""

import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.api_client.calls import ApiCalls, CallFailed

_TIMEOUT_S = 90.0
"""A test message may take the receiver's whole timeout."""
_WIDTH = 160
"""Columns where the output goes to a file: rich would take 80, too few for the tables."""
_STYLES = {"active": "green", "delivered": "green", "pending": "yellow", "paused": "yellow"}


def run_call(calls: ApiCalls, method: str, path: str, body: dict[str, Any] | None, *, as_json: bool) -> int:
    """Ask the API and print its answer; the exit code is 1 if it refused, or a test was not received."""
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH)
    try:
        answer = calls.ask(method, path, body, timeout_s=_TIMEOUT_S)
    except CallFailed as exc:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(exc), markup=False)
        return 1
    if as_json:
        console.out(orjson.dumps(answer).decode())
    else:
        _print(console, answer)
    return 1 if path.endswith("/test") and answer["status"] != "delivered" else 0


def _print(console: Console, answer: Any) -> None:
    if answer is None:
        console.print("done")
    elif answer.get("webhooks") == []:
        console.print("There are no webhooks. `storepulse webhooks add URL` adds one.")
    elif "webhooks" in answer:
        console.print(_endpoints(answer["webhooks"]), crop=False)
        for trouble in dict.fromkeys(one["status"]["trouble"] for one in answer["webhooks"]):
            if trouble is not None:
                console.print(trouble, style="bold red", markup=False)
    elif "deliveries" in answer:
        console.print(_deliveries(answer["deliveries"]), crop=False)
    elif "attempts" in answer:
        console.print(_deliveries([answer]), crop=False)
    elif "replaying" in answer:
        console.print("sending again" if answer["replaying"] else "nothing has been published since then")
    else:
        _print_endpoint(console, answer)


def _print_endpoint(console: Console, endpoint: dict[str, Any]) -> None:
    for name in ("id", "url", "description", "state", "reason", "created_at"):
        if endpoint[name]:
            console.print(Text.assemble((f"{name:<12}", "dim"), str(endpoint[name])))
    wanted = [", ".join([*endpoint["kinds"], *endpoint["states"]] or ["everything"])]
    wanted.append(f"severity {endpoint['min_severity']} or higher")
    if endpoint["min_value_minor"]:
        wanted.append(f"carts worth {endpoint['min_value_minor']} or more (minor units)")
    console.print(Text.assemble(("wants       ", "dim"), ", ".join(wanted)))
    if endpoint["quiet_hours"]:
        console.print(Text.assemble(("quiet hours ", "dim"), endpoint["quiet_hours"]))
    for name, value in endpoint["status"].items():
        if value:
            console.print(Text.assemble((f"{name:<18}", "dim"), str(value)))
    if "secret" in endpoint:
        console.print(Text.assemble(("secret      ", "dim"), (endpoint["secret"], "bold")))
        console.print("Copy it now; it cannot be shown again", style="dim")


def _short(moment: str) -> str:
    """Date and time to the second, of what the API shows in UTC."""
    return f"{moment[:10]} {moment[11:19]}"


def _endpoints(endpoints: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("id", "state", "delivering", "waiting", "missed", "last success (UTC)", "url"):
        table.add_column(column, overflow="fold", no_wrap=True)
    for one in endpoints:
        state = one["state"] if one["reason"] is None else f"{one['state']}: {one['reason']}"
        status = one["status"]
        table.add_row(
            one["id"],
            Text(state, _STYLES.get(one["state"], "red")),
            _say_delivering(one),
            str(status["pending"] + status["unread"]),
            str(status["missed"]),
            _short(status["succeeded_at"]) if status["succeeded_at"] else "-",
            Text(one["url"]),
        )
    return table


def _say_delivering(endpoint: dict[str, Any]) -> Text:
    if endpoint["status"]["delivering"]:
        return Text("yes", "green")
    return Text("no", "dim" if endpoint["status"]["trouble"] is None else "bold red")


def _deliveries(deliveries: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("created (UTC)", "id", "type", "status", "attempts", "last attempt", "answer"):
        table.add_column(column, overflow="fold", no_wrap=column != "answer")
    for one in deliveries:
        last = one["attempts"][-1] if one["attempts"] else None
        answer = "" if last is None else last["answer"] or last["detail"]
        table.add_row(
            _short(one["created_at"]),
            one["id"],
            one["type"],
            Text(one["status"], _STYLES.get(one["status"], "red")),
            str(one["n_attempts"]),
            "-" if last is None else f"{last['status'] or last['result']} in {last['took_ms']} ms",
            Text(" ".join(answer.split())[:80]),
        )
    return table
