"""The command about recommendations."""

from typing import Annotated

import typer

from ops.cli.options import JsonOption, StateOption, UrlOption
from ops.stack.record import DEFAULT_STATE


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("recommend")(recommend)


def recommend(
    user: Annotated[str | None, typer.Argument(help="Visitor or customer; absent: nobody.")] = None,
    product: Annotated[str | None, typer.Option(help="Product of the page that is open.")] = None,
    scenario: Annotated[
        str | None, typer.Option(help="for_you, similar, bought_together, for_cart, trending, ...")
    ] = None,
    category: Annotated[str | None, typer.Option(help="Only products of this category.")] = None,
    exclude: Annotated[str | None, typer.Option(help="Ids of products, with commas between.")] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of products.")] = 10,
    url: UrlOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show what a visitor would be recommended now, and why.

    It asks the API for a preview.

    Example: storepulse recommend visitor-17 --scenario similar --product p00054
    """
    from ops.api_client.calls import ApiCalls
    from ops.recommendations.showing import show_recommendations
    from ops.stack.record import find_settings

    wanted = {
        "user_id": user, "product_id": product, "scenario": scenario, "category": category,
        "exclude": exclude, "limit": str(limit), "preview": "1",
    }  # fmt: skip
    query = {name: value for name, value in wanted.items() if value is not None}
    raise typer.Exit(show_recommendations(ApiCalls.of(find_settings(state), url), query, as_json=json))
