"""Where the parts of a running stack are, for `storepulse status`."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.stack.record import StackRecord, read_record


def print_addresses(state: Path) -> None:
    """Print the parts of the stack that runs in this folder, if one does."""
    record = read_record(state)
    if record is not None and record.owner.runs():
        Console().print(addresses_table(record), "")


def addresses_table(record: StackRecord) -> Table:
    """Each part with its address, its process and how often it was started again."""
    table = Table(box=None, pad_edge=False)
    for column in ("part", "where", "pid", "restarts"):
        table.add_column(column, overflow="fold")
    for part in record.parts:
        where = part.where.removesuffix("/livez")
        table.add_row(part.name, Text(where), str(part.pid or "ended"), str(part.restarts))
    names = {part.name for part in record.parts}
    for name, setting in (("broker", "bootstrap"), ("redis", "redis_url")):
        if name not in names:
            table.add_row(name, Text(str(record.settings.get(setting, ""))), "yours", "")
    return table
