"""What `storepulse alerts ack`, `snooze`, `feedback`, `export` and `tail --url` do with the API's answers."""

import sys
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from ops.alerts.tail import render_alert
from ops.api_client.calls import ApiCalls, CallFailed, to_contract, write_table


def run_say(
    calls: ApiCalls, alert_id: str, part: str, body: dict[str, Any] | None, *, undo: bool, as_json: bool
) -> int:
    """Say something of an alert and print what is being done about it; the exit code is 1 if refused."""
    try:
        handling = calls.say(alert_id, part, body, undo=undo)
    except CallFailed as exc:
        return _fail(exc)
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        console.out(orjson.dumps(handling).decode())
    else:
        console.print(say_handling(handling), markup=False)
    return 0


def run_export(calls: ApiCalls, query: dict[str, str], path: Path | None) -> int:
    """Write the table to a file or to the standard output; the exit code is 1 if it is not complete."""
    try:
        if path is None:
            calls.export(query, sys.stdout.buffer)
        else:
            write_table(calls, query, path)
    except CallFailed as exc:
        return _fail(exc)
    return 0


def run_stream(calls: ApiCalls, query: dict[str, str], *, as_json: bool) -> int:
    """Print steps as the stream brings them until Ctrl-C; the exit code is 1 if the API refuses."""
    console, notes = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False)
    try:
        for fields in calls.follow(query, lambda text: notes.print(text, style="dim", markup=False)):
            if as_json:
                console.out(orjson.dumps(fields).decode())
            else:
                console.print(render_alert(to_contract(fields)))
    except KeyboardInterrupt:
        return 0
    except CallFailed as exc:
        return _fail(exc)
    return 0


def say_handling(handling: dict[str, Any]) -> str:
    """One line: the state, until when, by whom, and the verdict."""
    words = [str(handling["state"])]
    if handling["until"]:
        words.append(f"until {handling['until']}")
    if handling["by"]:
        words.append(f"by {handling['by']}")
    if handling["feedback"]:
        words.append(f"called {handling['feedback']['verdict']}")
    return ", ".join(words)


def _fail(exc: CallFailed) -> int:
    Console(stderr=True, highlight=False, soft_wrap=True).print(str(exc), markup=False)
    return 1
