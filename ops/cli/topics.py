"""Commands about Kafka's topics."""

from typing import Annotated

import typer

from ops.cli.installation import find_kafka
from ops.cli.options import StateOption
from ops.stack.record import DEFAULT_STATE


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    topics = typer.Typer(invoke_without_command=True, callback=create)
    topics.command("grow")(grow)
    app.add_typer(topics, name="topics")


def create(context: typer.Context, state: StateOption = DEFAULT_STATE) -> None:
    """Create the topics that are missing, and check that the event topics are co-partitioned."""
    if context.invoked_subcommand is not None:
        return
    from ops.stack.topics import TopicsError, ensure_topics

    try:
        count = ensure_topics(find_kafka(state))
    except TopicsError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc
    typer.echo(f"topics exist, with {count} partitions each")


def grow(
    partitions: Annotated[int, typer.Argument(min=2, max=512, help="New number of partitions.")],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Add partitions to the installation: moves state, grows topics. Stop workers, API and deliverer first.

    If it is interrupted, run it again to continue.
    """
    from kafka.errors import KafkaError
    from redis.exceptions import RedisError

    from ops.stack.growth import GrowthError
    from ops.stack.growth import grow as grow_installation

    settings = find_kafka(state)
    try:
        grow_installation(settings, partitions, lambda what, done: typer.echo(f"{what}: {done:,}"))
    except GrowthError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(1) from exc
    except (KafkaError, RedisError, OSError) as exc:
        typer.echo(f"interrupted, run it again: {exc}", err=True)
        raise typer.Exit(1) from exc
    typer.echo(f"{partitions} partitions; start everything with STOREPULSE_PARTITIONS={partitions}")
