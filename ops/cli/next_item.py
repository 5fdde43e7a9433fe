"""The command that trains models of the next item."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.options import CurrencyOption, IdleMinutes, ModelSeed, RunsFolder
from ops.extras import require_extras


def train_next_item(
    train: Annotated[
        Path | None,
        typer.Option("--train", help="Sequences of items, or a log with session_id and item_id."),
    ] = None,
    events: Annotated[Path | None, typer.Option("--events", help="A file of events of one shop.")] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the model's files, by default next-item in .storepulse/models.",
            show_default=False,
        ),
    ] = Path(".storepulse/models/next-item"),
    kind: Annotated[str, typer.Option(help="Encoder of the session: gru, core or sasrec.")] = "gru",
    width: Annotated[int, typer.Option(help="Numbers in the vector of an item.", min=2)] = 100,
    loss: Annotated[
        str, typer.Option(help="Softmax over drawn items (sampled) or over all (full).")
    ] = "sampled",
    negatives: Annotated[int, typer.Option(help="Items drawn for each batch.", min=1)] = 8_192,
    uniformity: Annotated[float, typer.Option(help="Weight of the loss that spreads items.", min=0)] = 0.0,
    cart_weight: Annotated[
        float, typer.Option(help="What a cart as the next action counts; a view counts 1.", min=0)
    ] = 1.0,
    purchase_weight: Annotated[
        float, typer.Option(help="What a purchase as the next action counts.", min=0)
    ] = 1.0,
    epochs: Annotated[int, typer.Option(help="Maximum number of epochs.", min=1)] = 10,
    held_back: Annotated[
        float,
        typer.Option(
            help="Share of the sessions, the latest, to leave for `evaluate next-item` with the same share.",
            min=0,
            max=0.9,
        ),
    ] = 0.0,
    refit: Annotated[
        bool, typer.Option(help="Train once more on all sessions, for the epochs that were best.")
    ] = True,
    ranker: Annotated[
        bool, typer.Option(help="Also learn trees that order the candidates of live recommendations.")
    ] = True,
    seed: ModelSeed = 1,
    threads: Annotated[int, typer.Option(help="Processor cores to use.", min=1)] = 1,
    idle_minutes: IdleMinutes = 30.0,
    currency: CurrencyOption = "EUR",
    runs: RunsFolder = Path(".storepulse/runs"),
) -> None:
    """Train a session network of the next item and a ranker; the newest sessions are validation.

    Example: storepulse train next-item --events shop.csv --out model
    """
    require_extras("train next-item", "train")
    from ops.learning.item_training import ItemTrainingOptions, run_item_training

    options = ItemTrainingOptions(
        train=train,
        events=events,
        out=out,
        runs=runs,
        kind=kind,
        width=width,
        loss=loss,
        negatives=negatives,
        uniformity=uniformity,
        cart_weight=cart_weight,
        purchase_weight=purchase_weight,
        most_epochs=epochs,
        held_back=held_back,
        refit=refit,
        ranker=ranker,
        seed=seed,
        threads=threads,
        idle_ms=round(idle_minutes * 60_000),
        currency=currency,
    )
    raise typer.Exit(run_item_training(options))
