"""`storepulse predict`: a few actions in, what comes next out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.table import Table

from api.http.errors import Problem
from api.resources.predictions.sequences import Defaults, parse_actions
from contracts.clock import wall_clock_ms
from contracts.settings import get_settings
from models.artefacts.card import ArtefactError
from models.next_action.actions import TARGETS
from models.next_action.encoding import encode_actions, stack, stack_ids, with_rates
from models.next_action.predictor import Prediction, Predictor, Reason, load, load_shipped
from models.next_action.prices import UNKNOWN_LEVEL
from models.next_action.rates import RATE_FEATURES
from models.next_action.reasons import describe

EXIT_ERROR, EXIT_USAGE = 1, 2


def run_prediction(actions: Sequence[str], folder: Path | None, *, pause_s: float, as_json: bool) -> int:
    """Predict and print; returns the exit code."""
    settings = get_settings()
    defaults = Defaults(wall_clock_ms(), settings.currency)
    try:
        parsed = parse_actions(_body(actions, pause_s), defaults)
        predictor = load_shipped() if folder is None else load(folder)
    except Problem as exc:
        typer.echo(exc.detail, err=True)
        return EXIT_USAGE
    except ArtefactError as exc:
        typer.echo(str(exc), err=True)
        return EXIT_ERROR
    steps, lengths, context = stack([encode_actions(parsed, UNKNOWN_LEVEL, settings.idle_ms)])
    if predictor.reads_rates:  # of no shop in particular: nothing is known of any item
        unknown = np.zeros((1, len(RATE_FEATURES)), np.float32)
        steps, lengths, context = with_rates((steps, lengths, context), unknown)
    ids = stack_ids([parsed], lengths) if predictor.reads_ids else None
    prediction = predictor.predict(steps, lengths, context, ids)
    reasons = [
        (reason, describe(reason.code, context[0].tolist())) for reason in predictor.reasons(context)[0]
    ]
    if as_json:
        typer.echo(orjson.dumps(_plain(predictor, prediction, reasons)))
    else:
        _show(predictor, prediction, reasons)
    return 0


def _body(actions: Sequence[str], pause_s: float) -> bytes:
    """What the predict call takes over HTTP, so that the rules are the same."""
    named = []
    for action in actions:
        fields = zip(("event_type", "product_id", "price"), action.split(":", 2), strict=False)
        named.append({**{name: value for name, value in fields if value}, "after_s": pause_s})
    return orjson.dumps({"actions": named})


def _plain(
    predictor: Predictor, prediction: Prediction, reasons: Sequence[tuple[Reason, str]]
) -> dict[str, object]:
    return {
        "model": predictor.version,
        "distribution": dict(zip(TARGETS, prediction.probabilities[0].tolist(), strict=True)),
        "purchase_probability": float(prediction.purchase[0]),
        "reasons": [{**reason._asdict(), "words": words} for reason, words in reasons],
    }


def _show(predictor: Predictor, prediction: Prediction, reasons: Sequence[tuple[Reason, str]]) -> None:
    table = Table(title=f"next action (model {predictor.version})", title_justify="left", show_header=False)
    for place in np.argsort(-prediction.probabilities[0], kind="stable"):
        share = float(prediction.probabilities[0, place])
        table.add_row(TARGETS[place], f"{share:.1%}", "#" * round(40 * share))
    table.add_section()
    table.add_row("buys in this session", f"{float(prediction.purchase[0]):.1%}")
    for reason, words in reasons:
        table.add_row("because", f"{reason.effect:+.2f}", words)
    Console().print(table)
