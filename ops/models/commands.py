"""`storepulse models`: what versions there are, and steps that a person decides on."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from connections.kafka_check import require_kafka
from connections.troubles import ConnectionRefused
from contracts.model_steps import Author, ModelStep, StepKind
from contracts.settings import Settings
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.state import BASE, SlotState, Stage
from models.lifecycle.store import ModelStore
from ops.models.steps import ModelSteps, Refused, Wanted, reading

EXIT_ERROR = 1
_FILE_WIDTH = 160


def list_versions(settings: Settings, slot: str | None, *, as_json: bool) -> int:
    """Print every slot's versions and where each stands; returns the exit code."""

    async def show() -> int:
        async with reading(settings) as lifecycle:
            store = ModelStore(Path(settings.model_store))
            names = [name for name in lifecycle.slots if slot in (None, name)]
            rows = [row for name in names for row in _rows(name, lifecycle, store)]
        if as_json:
            typer.echo(orjson.dumps(rows))
        elif rows:
            _print(rows, ("slot", "version", "stage", "pinned", "in_store"))
        else:
            typer.echo("nothing was ever promoted: every slot asks the model that it comes with")
        return 0

    return _run(settings, show)


def list_steps(settings: Settings, slot: str | None, *, as_json: bool) -> int:
    """Print the steps that led there, oldest first; returns the exit code."""

    async def show() -> int:
        async with reading(settings) as lifecycle:
            steps = [step for step in lifecycle.steps if slot in (None, step.slot)]
        if as_json:
            typer.echo(orjson.dumps([step._asdict() for step in steps]))
        else:
            _print([_step_row(step) for step in steps], ("time", "slot", "step", "version", "by", "reason"))
        return 0

    return _run(settings, show)


def decide(settings: Settings, kind: StepKind, slot: str, version: str | None, reason: str) -> int:
    """Take a step by hand; returns the exit code. Without a version it is about the champion."""

    async def take() -> int:
        async with ModelSteps(settings) as steps:
            named = version or steps.lifecycle.state(slot).champion
            _require_version(settings, slot, named)
            step = await steps.take(Wanted(slot, kind, named, Author.OPERATOR, reason))
            champion = steps.lifecycle.state(slot).champion
        typer.echo(f"step {step.number} of {slot}: the champion is {champion}")
        return 0

    return _run(settings, take)


def _require_version(settings: Settings, slot: str, version: str) -> None:
    """Raise `Refused` for a version that no process would find."""
    store = ModelStore(Path(settings.model_store))
    if version != BASE and not store.has(slot, version):
        known = ", ".join([BASE, *store.versions(slot)])
        raise Refused(f"{slot} has no version {version} in {settings.model_store}; there are {known}")


def _rows(name: str, lifecycle: Lifecycle, store: ModelStore) -> list[dict[str, Any]]:
    state, stored = lifecycle.state(name), store.versions(name)
    in_use = (state.champion, state.beside, state.candidate, *reversed(state.former))
    versions = dict.fromkeys([*in_use, *stored, *state.rejected])
    return [
        {
            "slot": name,
            "version": version,
            "stage": _say_stage(state, version),
            "pinned": state.is_pinned and version == state.champion,
            "in_store": version == BASE or version in stored,
        }
        for version in versions
        if version
    ]


def _say_stage(state: SlotState, version: str) -> str:
    stage = state.stage_of(version)
    if stage is Stage.FORMER and version == state.beside:
        return f"{stage}, beside the new one until that has proved itself"
    return "not known" if stage is None else stage


def _step_row(step: ModelStep) -> dict[str, Any]:
    time = datetime.fromtimestamp(step.at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "time": time, "slot": step.slot, "step": step.kind, "version": step.version, "by": step.author,
        "reason": step.reason,
    }  # fmt: skip


def _print(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*["yes" if row[name] is True else "" if row[name] is False else str(row[name])
                        for name in columns])  # fmt: skip
    console = Console()
    (console if console.is_terminal else Console(width=_FILE_WIDTH)).print(table)


def _run(settings: Settings, command: Callable[[], Coroutine[Any, Any, int]]) -> int:
    async def run() -> int:
        await require_kafka(settings)
        return await command()

    try:
        return asyncio.run(run())
    except TimeoutError:
        typer.echo(f"no Kafka answers at {settings.bootstrap}", err=True)
    except (ConnectionRefused, KafkaError, Refused) as exc:
        typer.echo(str(exc), err=True)
    return EXIT_ERROR
