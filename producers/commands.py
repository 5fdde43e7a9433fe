"""The producers' commands: options in, exit code out."""

from dataclasses import dataclass
from pathlib import Path

import orjson
import typer
from rich.console import Console

from contracts.currencies import MINOR_DIGITS
from contracts.settings import Settings
from producers.checkpoints import CheckpointFile
from producers.counted import Counted, open_counted
from producers.exits import EXIT_ERROR, EXIT_USAGE, stop_signal
from producers.installation import check_partitions
from producers.lag import LagUnknown, RedisOffsets
from producers.plain_output import say_status
from producers.replay import Replay, ReplayPlan
from producers.replay_memory import AlreadySent, ReplayMemory
from producers.replay_view import ReplayView, add_counted, summary, summary_table
from producers.sender import KafkaSender, SendFailed
from sources import Source, UnknownFormat, fingerprint


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `storepulse replay` was asked for."""

    file: Path
    plan: ReplayPlan
    format_name: str | None = None
    currency: str | None = None
    state: Path = Path(".storepulse")
    as_json: bool = False


def run_replay(settings: Settings, options: ReplayOptions) -> int:
    """Replay a file into Kafka; returns the exit code (130 after SIGINT, 143 after SIGTERM)."""
    errors = Console(stderr=True)
    currency = options.currency or settings.currency
    if currency not in MINOR_DIGITS:
        errors.print(
            f"--currency must be an ISO 4217 code such as EUR, got {currency!r}", markup=False, soft_wrap=True
        )
        return EXIT_USAGE
    try:
        with say_status(errors, f"sorting {options.file.name} by event time"):
            source = Source(options.file, currency=currency, format_name=options.format_name).open()
        with source:
            return _replay(settings, options, source, errors)
    except (OSError, UnknownFormat) as exc:
        errors.print(f"{options.file} cannot be replayed: {exc}", markup=False, soft_wrap=True)
    except AlreadySent as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
    except LagUnknown as exc:
        errors.print(
            f"{exc}\nWith --max-lag 0 --again, the replay does not need Redis.",
            markup=False,
            soft_wrap=True,
        )
    except SendFailed as exc:
        errors.print(
            f"{exc}\nAcknowledged events are safe; run the same command again to continue.", markup=False
        )
    return EXIT_ERROR


def _replay(settings: Settings, options: ReplayOptions, source: Source, errors: Console) -> int:
    plan = options.plan
    checkpoints = CheckpointFile(
        options.state / "replay",
        name=source.path.name,
        fingerprint=fingerprint(source.path),
        destination=f"{settings.bootstrap}/{settings.topic_prefix} {plan.time} {source.format_name}",
    )
    if source.unused_columns:
        errors.print(
            f"Columns that the format {source.format_name} does not have, and that are not used: "
            f"{', '.join(source.unused_columns[:20])}",
            markup=False,
        )
    check_partitions(settings)
    sender = KafkaSender(settings)
    asks_redis = bool(plan.max_lag) or not plan.again
    applied = RedisOffsets(settings) if asks_redis else None
    memory = ReplayMemory(settings) if asks_redis else None
    counted: Counted | None = None
    try:
        meanwhile = open_counted(applied)
        with stop_signal() as received, ReplayView(errors, source.path.name) as view:
            progress = Replay(
                source,
                sender,
                plan,
                checkpoints=checkpoints,
                applied=applied if plan.max_lag else None,
                memory=memory,
                stopped=lambda: received() is not None,
                on_tick=view.update,
            ).run()
            if meanwhile is not None and not progress.interrupted:
                counted = meanwhile.finish(sender, wait=bool(plan.max_lag), on_wait=view.await_stream)
            signal_number = received()
    finally:
        sender.close()
        if memory is not None:
            memory.close()
        if applied is not None:
            applied.close()
    if options.as_json:
        plain = summary(progress, file=str(options.file), format_name=source.format_name)
        typer.echo(orjson.dumps(plain | {"stream": counted and counted._asdict()}))
    else:
        table = summary_table(progress, file=str(options.file), format_name=source.format_name)
        add_counted(table, counted, progress)
        Console().print(table)
    if progress.interrupted and signal_number:
        return 128 + signal_number
    if progress.rejected and not progress.sent:
        errors.print("No row is a valid event; see the rejected rows above.", markup=False)
        return EXIT_ERROR
    return 0
