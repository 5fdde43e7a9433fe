"""The command that measures live recommendations on a shop's past."""

from pathlib import Path
from typing import Annotated

import typer

from models.recommendation.request import ActionWeights
from ops.extras import require_extras


def evaluate_recommendations(
    events: Annotated[Path, typer.Option("--events", help="File of events of a shop.")],
    first: Annotated[
        float, typer.Option(help="Share of the actions that is replayed before any is a case.", min=0, max=1)
    ] = 0.7,
    last: Annotated[float, typer.Option(help="Share of the actions at which it ends.", min=0, max=1)] = 1.0,
    weights: Annotated[
        str, typer.Option(help="Also measure with weights of view, cart and purchase, such as 1,4,8.")
    ] = "",
    network: Annotated[
        Path | None,
        typer.Option(
            help="Also measure with a folder of `train next-item`, which knows nothing of the cases."
        ),
    ] = None,
    idle_minutes: Annotated[float, typer.Option(help="A longer gap starts a new session.", min=0.1)] = 30.0,
    currency: Annotated[str, typer.Option(help="Currency of prices without one.")] = "EUR",
    json: Annotated[Path | None, typer.Option("--json", help="Also write all figures to this file.")] = None,
) -> None:
    """Replay a shop's past in order of time: recommendations as they are served, beside baselines.

    Example: storepulse evaluate recommendations --events shop.parquet
    """
    require_extras("evaluate recommendations", "replay")
    from ops.learning.recommendation_evaluation import (
        RecommendationOptions,
        run_recommendation_evaluation,
    )

    options = RecommendationOptions(
        events=events,
        first=first,
        last=last,
        weights=_parse_weights(weights) if weights else None,
        network=network,
        idle_ms=round(idle_minutes * 60_000),
        currency=currency,
        json=json,
    )
    raise typer.Exit(run_recommendation_evaluation(options))


def _parse_weights(text: str) -> ActionWeights:
    try:
        weights = ActionWeights(*map(float, text.split(",")))
    except (ValueError, TypeError):
        raise typer.BadParameter(
            "must be three numbers separated by commas", param_hint="--weights"
        ) from None
    if min(weights) < 0 or not any(weights):
        raise typer.BadParameter("must be 0 or more, one of them above 0", param_hint="--weights")
    return weights
