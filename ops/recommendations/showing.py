"""`storepulse recommend`: what the API would show a visitor now."""

from typing import Any
from urllib.parse import urlencode

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ops.api_client.calls import ApiCalls, CallFailed

EXIT_ERROR = 1
_FILE_WIDTH = 160
_EMPTY = {
    "no_products": "No product is known yet: send events, or import products.",
    "ruled_out": "The rules allow none of the products.",
}


def show_recommendations(calls: ApiCalls, query: dict[str, str], *, as_json: bool) -> int:
    """Print the answer to a question; returns the exit code."""
    try:
        answer = calls.ask("GET", f"/v1/recommendations?{urlencode(query)}")
    except CallFailed as exc:
        typer.echo(str(exc), err=True)
        return EXIT_ERROR
    if as_json:
        typer.echo(orjson.dumps(answer))
        return 0
    typer.echo(_say_source(answer), err=True)
    if answer["items"]:
        console = Console(highlight=False)
        (console if console.is_terminal else Console(width=_FILE_WIDTH)).print(_to_table(answer["items"]))
    else:
        typer.echo(_EMPTY.get(answer["empty_because"], "Nothing to show."))
    return 0


def _say_source(answer: dict[str, Any]) -> str:
    known = "" if answer["is_known"] or answer["user_id"] is None else "; nothing is known of this visitor"
    source = answer["answered_by"]
    instead = "" if source in (None, answer["scenario"]) else f", answered by {source}"
    age = f"other visitors as of {answer['sessions_age_s']:.1f} s ago"
    return f"{answer['scenario']}{instead}{known}; arm {answer['arm']}, {age}"


def _to_table(items: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "product", "title", "price", "source", "why"):
        table.add_column(column)
    for item in items:
        price = item["price"]
        amount = "" if price is None else f"{price['amount']} {price['currency']}"
        cells = (item["product_id"], item["title"] or "", amount, item["source"], item["reason"]["words"])
        table.add_row(str(item["place"]), *cells)
    return table
