"""Commands that train models and ask them."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.next_basket import train_next_basket
from ops.cli.next_item import train_next_item
from ops.cli.options import (
    CurrencyOption,
    EventsOption,
    FormatOption,
    IdleMinutes,
    ModelSeed,
    MoreFiles,
    RunsFolder,
    names_of,
)
from ops.extras import require_extras


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    train = typer.Typer(help="Train models on a shop's own events.", no_args_is_help=True)
    train.callback()(_group)
    train.command("next-action")(train_next_action)
    train.command("next-item")(train_next_item)
    train.command("next-basket")(train_next_basket)
    app.add_typer(train, name="train")
    app.command()(predict)


def _group() -> None:
    """Keep `next-action` a command of its own: a Typer with one command would swallow its name."""


def train_next_action(
    events: EventsOption = None,
    more: MoreFiles = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for model.onnx and card.json.", show_default="next-action in .storepulse/models"
        ),
    ] = Path(".storepulse/models/next-action"),
    simulate: Annotated[
        float, typer.Option(help="Train on so many days of each simulated profile.", min=0)
    ] = 0.0,
    profiles: Annotated[
        str, typer.Option(help="Simulated shops, comma-separated: demo, multi-category, cosmetics.")
    ] = "demo",
    kind: Annotated[
        str,
        typer.Option(help="blend (cnn_bigru and boosted trees), or alone: lstm, gru, bigru, cnn, cnn_bigru."),
    ] = "blend",
    embeddings: Annotated[
        bool,
        typer.Option(
            "--embeddings",
            help="Also learn products, categories and brands: for your own shop, whose ids stay the same.",
        ),
    ] = False,
    rates: Annotated[
        bool, typer.Option(help="Also learn how others' views of products and categories end in purchases.")
    ] = True,
    seed: ModelSeed = 1,
    train: Annotated[float, typer.Option(help="Share of the sessions to train on, the earliest ones.")] = 0.7,
    valid: Annotated[
        float,
        typer.Option(help="Share after these, for early stopping and calibration; the rest is the test."),
    ] = 0.15,
    epochs: Annotated[int, typer.Option(help="Maximum number of epochs.", min=1)] = 30,
    idle_minutes: IdleMinutes = 30.0,
    format_name: FormatOption = None,
    currency: CurrencyOption = "EUR",
    runs: RunsFolder = Path(".storepulse/runs"),
) -> None:
    """Train a predictor of the next action and export it, split by time; every prefix of a session is a case.

    Runs are also logged to MLflow where MLFLOW_TRACKING_URI is set. Example: storepulse train next-action
    --events shop.csv --out model
    """
    require_extras("train next-action", "train")
    from ops.learning.training import TrainingOptions, run_training

    options = TrainingOptions(
        files=(*(events or ()), *(more or ())),
        out=out,
        runs=runs,
        kind=kind,
        seed=seed,
        train=train,
        valid=valid,
        most_epochs=epochs,
        idle_ms=round(idle_minutes * 60_000),
        simulated_days=simulate,
        profiles=names_of(profiles),
        format_name=format_name,
        currency=currency,
        embeddings=embeddings,
        rates=rates,
    )
    raise typer.Exit(run_training(options))


def predict(
    actions: Annotated[
        list[str], typer.Argument(help="ACTION, ACTION:PRODUCT or ACTION:PRODUCT:PRICE, oldest first.")
    ],
    model: Annotated[Path | None, typer.Option(help="Folder of a model; default: the shipped one.")] = None,
    pause: Annotated[float, typer.Option(help="Seconds between two actions.", min=0)] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Predict a visitor's next action from the actions so far.

    A view without a product is of another product; anything else is of the last one.

    Examples: storepulse predict view view cart

    storepulse predict view:p17:59.90 cart:p17:59.90
    """
    from ops.learning.prediction import run_prediction

    raise typer.Exit(run_prediction(actions, model, pause_s=pause, as_json=json))
