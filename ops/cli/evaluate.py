"""Commands that measure models on files of events."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.demand import evaluate_demand
from ops.cli.evaluate_recommendations import evaluate_recommendations
from ops.cli.next_basket import evaluate_next_basket
from ops.cli.options import (
    CurrencyOption,
    EventsOption,
    FiguresFile,
    FormatOption,
    IdleMinutes,
    MoreFiles,
    NamesOption,
    names_of,
)
from ops.extras import require_extras


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    evaluate = typer.Typer(help="Measure models on held-back events.", no_args_is_help=True)
    evaluate.callback()(_group)
    evaluate.command("next-action")(evaluate_next_action)
    evaluate.command("next-item")(evaluate_next_item)
    evaluate.command("alerts")(evaluate_alerts)
    evaluate.command("learning")(evaluate_learning)
    evaluate.command("learning-curve")(evaluate_learning_curve)
    evaluate.command("drift")(evaluate_drift)
    evaluate.command("uplift")(evaluate_uplift)
    evaluate.command("next-basket")(evaluate_next_basket)
    evaluate.command("recommendations")(evaluate_recommendations)
    evaluate.command("demand")(evaluate_demand)
    app.add_typer(evaluate, name="evaluate")


def _group() -> None:
    """Keep `next-action` a command of its own: a Typer with one command would swallow its name."""


def evaluate_next_action(
    events: EventsOption = None,
    more: MoreFiles = None,
    idle_minutes: IdleMinutes = 30.0,
    train: Annotated[float, typer.Option(help="Share of the sessions to train on, the earliest ones.")] = 0.6,
    valid: Annotated[
        float, typer.Option(help="Share after these, for early stopping and calibration.")
    ] = 0.1,
    seeds: Annotated[int, typer.Option(help="How many times each model is fitted.", min=1, max=100)] = 3,
    tries: Annotated[
        int, typer.Option(help="Settings of each model to choose from on the share after training.", min=1)
    ] = 4,
    jobs: Annotated[int, typer.Option(help="Models to fit at once, a process each.", min=1)] = 1,
    one_action_share: Annotated[
        float | None,
        typer.Option(help="Simulate sessions of one action until they are this share.", min=0, max=0.99),
    ] = None,
    models: NamesOption = "",
    reference: Annotated[str, typer.Option(help="Model to compare the others with.")] = "",
    simulate_days: Annotated[
        float, typer.Option(help="Also measure on this many days of the simulated shop.", min=0)
    ] = 0.0,
    format_name: FormatOption = None,
    currency: CurrencyOption = "EUR",
    json: FiguresFile = None,
) -> None:
    """Compare predictors of the next action, split by time; every prefix of a session is a case.

    Example: storepulse evaluate next-action --events first_shop.csv second_shop.parquet --seeds 3
    """
    require_extras("evaluate next-action", "train")
    from ops.learning.evaluation import EvaluationOptions, run_evaluation

    options = EvaluationOptions(
        files=(*(events or ()), *(more or ())),
        idle_ms=round(idle_minutes * 60_000),
        train=train,
        valid=valid,
        seeds=seeds,
        tries=tries,
        jobs=jobs,
        one_action_share=one_action_share,
        models=names_of(models),
        reference=reference,
        simulated_days=simulate_days,
        format_name=format_name,
        currency=currency,
        json=json,
    )
    raise typer.Exit(run_evaluation(options))


def evaluate_next_item(
    events: Annotated[Path | None, typer.Option("--events", help="File of events of a shop.")] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            help="Instead: file to learn from, with columns items, or event_time, session_id, item_id."
        ),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="File to measure on: such a file, or one with prefix and target.")
    ] = None,
    held_back: Annotated[
        float,
        typer.Option(
            help="Share of the sessions, the latest, to measure on without --test.", min=0.001, max=0.9
        ),
    ] = 0.1,
    min_prefix: Annotated[int, typer.Option(help="Shortest prefix that is asked.", min=1)] = 1,
    collapse_repeats: Annotated[
        bool,
        typer.Option(
            "--collapse-repeats", help="Without repeats of the item before, and the latest item is no answer."
        ),
    ] = False,
    known_items_only: Annotated[
        bool,
        typer.Option(
            "--known-items-only",
            help="Take items that training lacks out of the sessions to measure on; else they are misses.",
        ),
    ] = False,
    models: Annotated[
        str, typer.Option(help="Names, comma-separated; default: all, those of the network only with one.")
    ] = "",
    network: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a network that `train next-item` made of the same sessions (without --test: "
            "with the same --held-back); else one is trained."
        ),
    ] = None,
    reference: Annotated[str, typer.Option(help="Model to compare the others with; default: markov.")] = "",
    idle_minutes: IdleMinutes = 30.0,
    currency: CurrencyOption = "EUR",
    json: FiguresFile = None,
) -> None:
    """Compare models of the next item: every prefix, the whole catalogue ranked, ties against the model.

    Example: storepulse evaluate next-item --train sequences.parquet --test pairs.parquet
    """
    require_extras("evaluate next-item", "train")
    from ops.learning.item_evaluation import ItemOptions, run_item_evaluation

    options = ItemOptions(
        events=events,
        train=train,
        test=test,
        held_back=held_back,
        min_prefix=min_prefix,
        collapse_repeats=collapse_repeats,
        known_items_only=known_items_only,
        network=network,
        models=names_of(models),
        reference=reference,
        idle_ms=round(idle_minutes * 60_000),
        currency=currency,
        json=json,
    )
    raise typer.Exit(run_item_evaluation(options))


def evaluate_alerts(
    events: EventsOption = None,
    more: MoreFiles = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Folder of the model; default: the shipped one."),
    ] = None,
    held_back_from: Annotated[
        float, typer.Option(help="Share of the sessions before the part that is evaluated.", min=0, max=0.99)
    ] = 0.7,
    simulate_days: Annotated[
        float, typer.Option(help="Also evaluate this many days of the simulated shop.", min=0)
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 2,
    currency: CurrencyOption = "EUR",
    picture: Annotated[Path | None, typer.Option(help="Draw the trade-off to this SVG file.")] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Instead: replay whole files in order of time, learning and within the budgets."
        ),
    ] = False,
    demo_minutes: Annotated[
        float, typer.Option(help="Also judge the alerts of this many minutes of the demo.", min=0)
    ] = 0.0,
    act_within: Annotated[
        float,
        typer.Option(help="Minutes in which a purchase makes acting on an abandoned cart pointless.", min=1),
    ] = 30.0,
) -> None:
    """Judge alerts on held-back sessions at many thresholds: lost carts reached, precision, lead time.

    Example: storepulse evaluate alerts --events shop.csv --model my-model --picture alerts.svg
    """
    require_extras("evaluate alerts", "replay")
    from ops.learning.alert_report import AlertOptions, run_alert_evaluation
    from ops.learning.online_alert_report import OnlineAlertOptions, run_online_alerts

    if online:
        files = (*(events or ()), *(more or ()))
        if not files:
            raise typer.BadParameter("give files with --events FILE...", param_hint="--online")
        raise typer.Exit(run_online_alerts(OnlineAlertOptions(files, model, currency)))

    options = AlertOptions(
        files=(*(events or ()), *(more or ())),
        model=model,
        held_back_from=held_back_from,
        simulated_days=simulate_days,
        seed=seed,
        currency=currency,
        picture=picture,
        demo_minutes=demo_minutes,
        act_within_minutes=act_within,
    )
    raise typer.Exit(run_alert_evaluation(options))


def evaluate_learning(
    events: Annotated[list[Path], typer.Option("--events", help="Files of events, each of one shop.")],
    more: MoreFiles = None,
    model: Annotated[Path | None, typer.Option(help="Folder of the model; default: the shipped one.")] = None,
    idle_minutes: IdleMinutes = 30.0,
    partitions: Annotated[int, typer.Option(help="Spread visitors over this many.", min=1, max=1024)] = 1,
    alone: Annotated[bool, typer.Option("--alone", help="No partition learns from another.")] = False,
    currency: CurrencyOption = "EUR",
    json: FiguresFile = None,
) -> None:
    """Replay files in order of time, as the stream would: predict, judge, learn. Nothing is fitted before.

    Example: storepulse evaluate learning --events shop.parquet
    """
    require_extras("evaluate learning", "replay")
    from ops.learning.online_report import LearningOptions, run_learning_evaluation

    options = LearningOptions(
        files=(*events, *(more or ())),
        model=model,
        idle_ms=round(idle_minutes * 60_000),
        partitions=partitions,
        is_shared=not alone,
        currency=currency,
        json=json,
    )
    raise typer.Exit(run_learning_evaluation(options))


def evaluate_learning_curve(
    events: Annotated[list[Path], typer.Option("--events", help="Files of events, each of one shop.")],
    more: MoreFiles = None,
    sizes: Annotated[
        str, typer.Option(help="Numbers of sessions, comma-separated; default: 500, 1000 and so on, to all.")
    ] = "",
    idle_minutes: IdleMinutes = 30.0,
    train: Annotated[float, typer.Option(help="Share of the sessions to train on at most.")] = 0.6,
    valid: Annotated[float, typer.Option(help="Share after these, to stop and calibrate on.")] = 0.1,
    seeds: Annotated[int, typer.Option(help="How many times each model is fitted.", min=1, max=100)] = 1,
    jobs: Annotated[int, typer.Option(help="Models to fit at once, a process each.", min=1)] = 1,
    models: Annotated[str, typer.Option(help="Names as in `evaluate next-action`; default: five.")] = "",
    currency: CurrencyOption = "EUR",
    picture: Annotated[Path | None, typer.Option(help="Draw the curves to this SVG file.")] = None,
    json: FiguresFile = None,
) -> None:
    """Measure how good models are with less data, on the same later sessions: do you have enough?

    Example: storepulse evaluate learning-curve --events shop.parquet --picture curve.svg
    """
    require_extras("evaluate learning-curve", "train")
    from ops.learning.learning_curve import MODELS, CurveOptions, run_learning_curve

    options = CurveOptions(
        files=(*events, *(more or ())),
        sizes=_numbers(sizes),
        train=train,
        valid=valid,
        seeds=seeds,
        jobs=jobs,
        models=names_of(models) or MODELS,
        idle_ms=round(idle_minutes * 60_000),
        currency=currency,
        picture=picture,
        json=json,
    )
    raise typer.Exit(run_learning_curve(options))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as exc:
        raise typer.BadParameter(f"sizes must be whole numbers, comma-separated, got {text!r}") from exc


def evaluate_drift(
    before_days: Annotated[float, typer.Option(help="Simulated days before the change.", min=0.2)] = 2.0,
    after_days: Annotated[float, typer.Option(help="Simulated days after it.", min=0.2)] = 2.0,
    rate: Annotated[float, typer.Option(help="Events per second on average.", min=0.01)] = 0.15,
    every_hours: Annotated[float, typer.Option(help="Hours between two candidates.", min=0.5)] = 6.0,
    epochs: Annotated[int, typer.Option(help="Maximum number of epochs of each model.", min=1)] = 6,
    quiet_weeks: Annotated[float, typer.Option(help="Weeks without a change, for false alarms.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.", min=0)] = 1,
    json: FiguresFile = None,
) -> None:
    """Change how a simulated shop's visitors behave, and see how long models take to follow.

    Prices double, a sale begins, or bots come: with and without the loop, with and without online learning.
    """
    require_extras("evaluate drift", "train")
    from ops.learning.drift_report import DriftOptions, run_drift_evaluation

    options = DriftOptions(before_days, after_days, rate, every_hours, epochs, quiet_weeks, seed, json)
    raise typer.Exit(run_drift_evaluation(options))


def evaluate_uplift(
    visitors: Annotated[int, typer.Option(help="Visitors with an alert, of each shop.", min=100)] = 20_000,
    rate: Annotated[float, typer.Option(help="Share that buys without being told.", min=0, max=1)] = 0.12,
    effect: Annotated[float, typer.Option(help="What alerts add to it.", min=-1, max=1)] = 0.03,
    hold_out: Annotated[float, typer.Option(help="Share of visitors held out.", min=0.01, max=0.5)] = 0.2,
    seeds: Annotated[int, typer.Option(help="Number of shops.", min=1)] = 100,
) -> None:
    """Simulate shops in which the effect of alerts is known: does the interval of /v1/experiments hold it?

    Example: storepulse evaluate uplift --seeds 20
    """
    from ops.learning.uplift_evaluation import UpliftOptions, run_uplift_evaluation

    options = UpliftOptions(visitors, rate, effect, hold_out, seeds)
    raise typer.Exit(run_uplift_evaluation(options))
