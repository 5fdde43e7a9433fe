"""`storepulse products import`: a file of products into Kafka, and what became of its rows."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from contracts.clock import wall_clock_ms
from contracts.currencies import MINOR_DIGITS
from contracts.dead_letters import DeadLetter
from contracts.fields import InvalidEvent
from contracts.product_records import product_from
from contracts.settings import Settings
from contracts.topics import Topics
from producers.exits import EXIT_ERROR, EXIT_USAGE
from producers.plain_output import LineProgress
from producers.records import Record, product_record
from producers.sender import KafkaSender, Sender, SendFailed
from sources import UnknownFormat
from sources.products import ProductFile, ProductRow

_SHOWN_EVERY = 1_000
_MOST_COLUMNS = 20


class ImportOptions(NamedTuple):
    """What the command was asked for."""

    file: Path
    currency: str | None = None
    dry_run: bool = False
    as_json: bool = False


@dataclass(slots=True)
class Reason:
    """Rows that were rejected with one code: how many, the first of them, and what was expected."""

    rows: int
    first_row: int
    detail: str


@dataclass(slots=True)
class Imported:
    """What became of the rows of a file."""

    taken: int = 0
    rejected: int = 0
    reasons: dict[str, Reason] = field(default_factory=dict)

    def reject(self, row: ProductRow, refusal: InvalidEvent) -> None:
        """Count a rejected row."""
        self.rejected += 1
        reason = self.reasons.setdefault(refusal.code, Reason(0, row.number, refusal.detail))
        reason.rows += 1


def run_import(settings: Settings, options: ImportOptions) -> int:
    """Send the products of a file; returns the exit code, 1 if no row is a product."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    currency = options.currency or settings.currency
    if currency not in MINOR_DIGITS:
        errors.print(f"--currency must be an ISO 4217 code such as EUR, got {currency!r}", markup=False)
        return EXIT_USAGE
    try:
        file = ProductFile(options.file)
        if file.unused:
            names = ", ".join(file.unused[:_MOST_COLUMNS])
            errors.print(
                f"Columns that no field of products has, and that are ignored: {names}", markup=False
            )
        with LineProgress(errors, options.file.name) as progress:
            imported = _import(settings, options, file, currency, progress)
    except (OSError, UnknownFormat) as exc:
        errors.print(f"{options.file} cannot be imported: {exc}", markup=False)
        return EXIT_ERROR
    except SendFailed as exc:
        errors.print(f"{exc}\nRun the same command again: it does no harm twice.", markup=False)
        return EXIT_ERROR
    _show(options, imported)
    return EXIT_ERROR if imported.rejected and not imported.taken else 0


def _import(
    settings: Settings, options: ImportOptions, file: ProductFile, currency: str, progress: Progress
) -> Imported:
    sender = None if options.dry_run else KafkaSender(settings)
    task = progress.add_task("products", total=None)
    try:
        imported = Imported()
        for done, _ in enumerate(import_rows(settings, options.file.name, file, currency, sender, imported)):
            if not done % _SHOWN_EVERY:
                progress.update(task, description=f"{done:,} products")
        return imported
    finally:
        if sender is not None:
            sender.close()


def import_rows(
    settings: Settings, name: str, file: ProductFile, currency: str, sender: Sender | None, imported: Imported
) -> Iterator[None]:
    """Send the products of the rows, one with each step; those that break a rule become dead letters."""
    topics, now_ms = Topics(settings.topic_prefix), wall_clock_ms()
    for row in file.rows():
        try:
            record = _record_of(row.fields, now_ms, currency, topics, settings.partitions)
        except InvalidEvent as exc:
            imported.reject(row, exc)
            if sender is not None:
                sender.reject(
                    DeadLetter(exc.code, exc.detail, name, 0, row.number, None, row.raw, wall_clock_ms())
                )
        else:
            imported.taken += 1
            if sender is not None:
                sender.send_raw(record)
        yield


def _record_of(fields: Any, now_ms: int, currency: str, topics: Topics, partitions: int) -> Record:
    if isinstance(fields, InvalidEvent):
        raise fields
    update = product_from(fields, received_ms=now_ms, default_currency=currency)
    return product_record(update, topics, partitions)


def _show(options: ImportOptions, imported: Imported) -> None:
    done = "valid" if options.dry_run else "sent"
    if options.as_json:
        reasons = [
            {"code": code, "rows": each.rows, "first_row": each.first_row, "detail": each.detail}
            for code, each in imported.reasons.items()
        ]
        plain = {"file": str(options.file), done: imported.taken, "rejected": imported.rejected}
        typer.echo(orjson.dumps({**plain, "reasons": reasons}))
        return
    console = Console(highlight=False)
    console.print(f"{imported.taken:,} products {done}, {imported.rejected:,} rows rejected")
    if not imported.reasons:
        return
    table = Table("code", "rows", "first row", "expected", box=None)
    for code, each in sorted(imported.reasons.items(), key=lambda item: -item[1].rows):
        table.add_row(code, f"{each.rows:,}", f"{each.first_row:,}", each.detail)
    console.print(table)
