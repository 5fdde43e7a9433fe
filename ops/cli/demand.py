"""The command of demand forecasts: `evaluate demand`."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.options import FiguresFile, names_of
from ops.extras import require_extras


def evaluate_demand(
    data: Annotated[Path, typer.Option(help="Sales: lines of receipts, or a line per series and day.")],
    series: Annotated[str, typer.Option(help="Columns that tell series apart, with commas.")] = "",
    items: Annotated[Path | None, typer.Option(help="File with facts of products or series.")] = None,
    group: Annotated[str | None, typer.Option(help="Column by which series are grouped.")] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="COLUMN=VALUE: such lines are no sales of products.")
    ] = None,
    match: Annotated[str | None, typer.Option(help="Regular expression that ids of products match.")] = None,
    least_days: Annotated[int, typer.Option(help="Series sold on fewer days are left out.", min=1)] = 1,
    timezone: Annotated[str, typer.Option(help="In which the days of receipts begin.")] = "UTC",
    sample: Annotated[int | None, typer.Option(help="So many series, evenly spread.", min=1)] = None,
    horizons: Annotated[str, typer.Option(help="Days ahead, with commas.")] = "1,7,28",
    origins: Annotated[int, typer.Option(help="How often forecasts are made.", min=1)] = 8,
    stride: Annotated[int, typer.Option(help="Days between origins.", min=1)] = 7,
    until: Annotated[
        int | None, typer.Option(help="Read so many days of the file; below 0: all but so many.")
    ] = None,
    models: Annotated[str, typer.Option(help="Names, separated by semicolons; default: all.")] = "",
    reference: Annotated[str, typer.Option(help="The model that others are compared with.")] = (
        "mean of 4 weekdays"
    ),
    json: FiguresFile = None,
) -> None:
    """Compare forecasts of daily demand at rolling origins.

    Example: storepulse evaluate demand --data sales.csv --origins 8 --horizons 1,7
    """
    require_extras("evaluate demand", "train")
    from ops.learning.demand_evaluation import DemandOptions, run_demand_evaluation
    from ops.learning.demand_files import SalesFile, check_pattern, parse_pair

    try:
        sales = SalesFile(
            path=data,
            series=tuple(series.split(",")) if series else None,
            items=items,
            group=group,
            left_out=tuple(parse_pair(text) for text in leave_out or ()),
            match=None if match is None else check_pattern(match),
            least_days=least_days,
            timezone=timezone,
            sample=sample,
        )
        ahead = tuple(int(text) for text in horizons.split(","))
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    if min(ahead) < 1:
        raise typer.BadParameter("must be 1 or more", param_hint="--horizons")
    options = DemandOptions(sales, ahead, origins, stride, until, names_of(models, ";"), reference, json)
    raise typer.Exit(run_demand_evaluation(options))
