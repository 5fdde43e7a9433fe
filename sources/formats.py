"""The table formats that can be replayed: which column is which field of the event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from contracts.events import InvalidEvent
from contracts.fields import parse_time


@dataclass(frozen=True, slots=True)
class TableFormat:
    """One published layout.

    `fields` maps its columns to fields of the event (names the contract does not know are kept as extras),
    `event_types` its type names to ours, `time_ms` reads a time in text: epoch ms, or None where it is none.
    """

    name: str
    fields: dict[str, str]
    required: frozenset[str]
    time_ms: Callable[[str], int | None]
    event_types: dict[str, str] = field(default_factory=dict)
    header: bool = True
    """False: files of it may come without the line that names the columns."""


def rfc3339_ms(text: str) -> int | None:
    """Epoch ms of `2019-10-01 00:00:00 UTC` or an RFC 3339 time; None if it is neither."""
    try:
        return parse_time(text[:-4] + "Z" if text.endswith(" UTC") else text)
    except InvalidEvent:
        return None


def epoch_ms(text: str) -> int | None:
    """Epoch ms written as an integer."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def epoch_s_to_ms(text: str) -> int | None:
    """Epoch ms of whole epoch seconds, which may be negative (Taobao has such rows)."""
    digits = text.removeprefix("-")
    return int(text) * 1_000 if digits.isascii() and digits.isdigit() and len(digits) <= 12 else None


OWN_FIELDS = (
    "event_id", "event_type", "event_time", "user_id", "anonymous_id", "product_id", "session_id", "price",
    "currency", "quantity", "category", "brand", "order_id",
)  # fmt: skip
"""Columns with the names of the contract."""

REES46 = TableFormat(
    "rees46",
    fields={
        "event_time": "event_time",
        "event_type": "event_type",
        "product_id": "product_id",
        "category_id": "category_id",
        "category_code": "category",
        "brand": "brand",
        "price": "price",
        "user_id": "user_id",
        "user_session": "session_id",
    },
    required=frozenset({"event_time", "event_type", "product_id", "user_id"}),
    time_ms=rfc3339_ms,
)
RETAILROCKET = TableFormat(
    "retailrocket",
    fields={
        "timestamp": "event_time",
        "visitorid": "user_id",
        "event": "event_type",
        "itemid": "product_id",
        "transactionid": "order_id",
    },
    required=frozenset({"timestamp", "visitorid", "event", "itemid"}),
    time_ms=epoch_ms,
    event_types={"addtocart": "cart", "transaction": "purchase"},
)
TAOBAO = TableFormat(
    "taobao",
    fields={
        "user_id": "user_id",
        "item_id": "product_id",
        "category_id": "category",
        "behavior_type": "event_type",
        "timestamp": "event_time",
    },
    required=frozenset({"user_id", "item_id", "behavior_type", "timestamp"}),
    time_ms=epoch_s_to_ms,
    event_types={"pv": "view", "buy": "purchase", "fav": "favorite"},
    header=False,
)
ITEMS = TableFormat(
    "items",
    fields={
        "event_time": "event_time",
        "user_id": "user_id",
        "item_id": "product_id",
        "category_id": "category",
        "event_type": "event_type",
    },
    required=frozenset({"event_time", "user_id", "item_id", "event_type"}),
    time_ms=rfc3339_ms,
    event_types={
        "addtocart": "cart",
        "transaction": "purchase",
        "fav": "favorite",
        "pv": "view",
        "buy": "purchase",
    },
)

EVENTS = TableFormat(
    "events",
    fields={name: name for name in OWN_FIELDS},
    required=frozenset({"event_time", "event_type", "product_id", "user_id"}),
    time_ms=lambda text: epoch_ms(text) if text.isdigit() else rfc3339_ms(text),
)

TABLE_FORMATS = {table.name: table for table in (REES46, RETAILROCKET, TAOBAO, ITEMS, EVENTS)}
FORMAT_NAMES = (*TABLE_FORMATS, "jsonl")


class UnknownFormat(ValueError):
    """A file whose columns are of no known format."""


def find_format(name: str | None, columns: Sequence[str]) -> TableFormat | None:
    """The format that knows most of these columns, or the one called `name` if they fit it."""
    fitting = [table for table in TABLE_FORMATS.values() if table.required <= set(columns)]
    if name is not None:
        table = TABLE_FORMATS.get(name)
        if table is None or table in fitting:
            return table
        return table if not table.header and len(columns) == len(table.fields) else None
    if not fitting and _is_headerless_taobao(columns):
        return TAOBAO
    return max(fitting, key=lambda table: len(table.fields.keys() & set(columns)), default=None)


def choose_format(name: str | None, columns: Sequence[str], where: str) -> TableFormat:
    """`find_format`; raises `UnknownFormat` naming the file without one."""
    if name is not None and name not in TABLE_FORMATS:
        raise UnknownFormat(f"{where}: format must be one of {', '.join(FORMAT_NAMES)}, got {name!r}")
    table = find_format(name, columns)
    if table is not None:
        return table
    found = ", ".join(column[:40] for column in columns[:12])
    wanted = f"the format {name}" if name else f"any of the formats {', '.join(TABLE_FORMATS)}"
    raise UnknownFormat(
        f"{where}: the columns ({found}) are not those of {wanted}; the first line must name the columns"
    )


def _is_headerless_taobao(columns: Sequence[str]) -> bool:
    return len(columns) == len(TAOBAO.fields) and columns[3] in (*TAOBAO.event_types, "cart")
