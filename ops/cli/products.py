"""Commands about products."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.installation import find_kafka, find_redis
from ops.cli.options import StateOption
from ops.extras import require_extras
from ops.stack.record import DEFAULT_STATE


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    products = typer.Typer(help="The shop's catalogue: import a file, show a product.", no_args_is_help=True)
    products.command("import")(import_file)
    products.command("show")(show)
    app.add_typer(products, name="products")


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or parquet; .csv.gz and .jsonl.gz too.")],
    currency: Annotated[str | None, typer.Option(help="Currency of prices without one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    state: StateOption = DEFAULT_STATE,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Send a file of products to Kafka; the exit code is 1 if none of its rows is one.

    Example: storepulse products import catalogue.csv
    """
    require_extras("products import", "replay")
    from ops.products.importing import ImportOptions, run_import

    raise typer.Exit(run_import(find_kafka(state), ImportOptions(file, currency, dry_run, json)))


def show(
    product_id: Annotated[str, typer.Argument(help="As in the events.")],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Show the facts of a product; the exit code is 1 if nothing is known of it."""
    from ops.products.showing import run_show

    raise typer.Exit(run_show(find_redis(state), product_id))
