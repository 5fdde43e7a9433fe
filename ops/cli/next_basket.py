"""The commands of next baskets: `evaluate next-basket` and `train next-basket`."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.options import FiguresFile, ModelSeed, names_of
from ops.extras import require_extras

Data = Annotated[
    Path, typer.Option("--data", "--baskets", help="Baskets or lines of receipts: parquet or CSV.")
]
Items = Annotated[Path | None, typer.Option(help="File with facts of the items.")]
LeaveOut = Annotated[
    list[str] | None, typer.Option(help="COLUMN=VALUE of --items: such items are no products.")
]


def evaluate_next_basket(
    data: Data,
    items: Items = None,
    leave_out: LeaveOut = None,
    folds: Annotated[int, typer.Option(help="Folds of users, without times.", min=2)] = 5,
    rounds: Annotated[int | None, typer.Option(help="Measure only so many folds.", min=1)] = None,
    cut: Annotated[
        datetime | None, typer.Option(help="UTC. Models learn from what is before; default: the last tenth.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="UTC. Baskets from then on are not read.")] = None,
    least: Annotated[int, typer.Option(help="Baskets before the one to predict, by time.", min=1)] = 3,
    models: Annotated[str, typer.Option(help="Names, separated by semicolons; default: all.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed gives the same folds.", min=0)] = 0,
    predict_users: Annotated[
        Path | None, typer.Option(help="Instead: predict for the users of this file, one id per line or row.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Predictions: parquet, or CSV by its name.")] = None,
    json: FiguresFile = None,
) -> None:
    """Compare predictors of a customer's next basket, by folds of users or by a cut in time.

    Example: storepulse evaluate next-basket --data baskets.parquet
    """
    require_extras("evaluate next-basket", "train")
    from ops.learning.basket_report import BasketOptions, run_basket_evaluation

    if (predict_users is None) != (out is None):
        raise typer.BadParameter("give both or neither", param_hint="--predict-users, --out")
    if predict_users is not None and out is not None:
        from ops.learning.basket_training import PredictionOptions, run_basket_prediction

        asked = PredictionOptions(data, items, tuple(leave_out or ()), predict_users, out, models)
        raise typer.Exit(run_basket_prediction(asked))
    options = BasketOptions(
        data=data,
        items=items,
        left_out=tuple(leave_out or ()),
        folds=folds,
        rounds=rounds,
        seed=seed,
        cut=cut,
        until=until,
        least=least,
        models=names_of(models, ";"),
        json=json,
    )
    raise typer.Exit(run_basket_evaluation(options))


def train_next_basket(
    data: Data,
    items: Items = None,
    leave_out: LeaveOut = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for model.onnx and card.json.", show_default="next-basket in .storepulse/models"
        ),
    ] = Path(".storepulse/models/next-basket"),
    seed: ModelSeed = 0,
) -> None:
    """Train the decision-tree ranker of next baskets and export it.

    Example: storepulse train next-basket --data receipts.parquet --out model
    """
    require_extras("train next-basket", "train")
    from ops.learning.basket_training import BasketTrainingOptions, run_basket_training

    options = BasketTrainingOptions(data, items, tuple(leave_out or ()), out, seed)
    raise typer.Exit(run_basket_training(options))
