"""`storepulse alerts tail`: the log of alerts in Redis as lines, and the new ones as they come."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.text import Text

from api.http.query_times import parse_time
from connections.redis import open_redis
from contracts.alerts import (
    FLAT_KINDS,
    Alert,
    AlertState,
    Severity,
    VisitorDetail,
    describe_detail,
    encode_alert,
    find_kind,
    name_in_ids,
)
from contracts.keys import Keys
from contracts.settings import Settings
from readers.alerts.log import START, AlertFilter, decode_entry
from readers.intervals import to_datetime

BACKLOG = 10
"""Steps to begin with when following and no time is told."""
_MAX_LOOKED_BACK = 5_000
_PAGE = 500
_WAIT_MS = 1_000
_SPAN = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SEVERITY_STYLES = {Severity.LOW: "dim", Severity.MEDIUM: "yellow", Severity.HIGH: "bold red"}
_KIND_WIDTH = max(map(len, FLAT_KINDS))


@dataclass(frozen=True, slots=True)
class TailOptions:
    """What to show, and whether to wait for more. Without following, everything kept is shown."""

    wanted: AlertFilter
    follow: bool
    as_json: bool


def run_tail(settings: Settings, options: TailOptions) -> int:
    """Print steps until Ctrl-C, or until there are no more; the exit code is 1 if Redis is not there."""
    console = Console(highlight=False, soft_wrap=True)
    key = Keys(settings.namespace, settings.partitions).alerts()
    with open_redis(settings) as client:
        try:
            for alert in read_log(client, key, options):
                if options.as_json:
                    console.out(encode_alert(alert).decode())
                else:
                    console.print(render_alert(alert))
        except KeyboardInterrupt:
            return 0
        except RedisError as exc:
            console.print(f"cannot read alerts: {exc}\n`storepulse up` starts a stack.", markup=False)
            return 1
    return 0


def read_log(client: Redis, key: str, options: TailOptions) -> Iterator[Alert]:
    """Wanted steps in the order of the log; raises `RedisError`, but not once it has begun to follow."""
    wanted = options.wanted
    cursor = str(START)
    if options.follow and wanted.since_ms is None:
        cursor = _go_back(client, key, wanted)
    entries = _read(client, key, cursor)
    while True:
        for entry_id, fields in entries:
            cursor = entry_id.decode()
            alert = decode_entry(entry_id, fields)
            if alert is not None and wanted.takes(alert):
                yield alert
        if options.follow:
            entries = _await_entries(client, key, cursor)
        elif len(entries) == _PAGE:
            entries = _read(client, key, cursor)
        else:
            return


def render_alert(alert: Alert) -> Text:
    """One line: time, kind, severity, subject, its detail, then why and what to offer, or how it ended."""
    # Text, not markup: what visitors typed must not become styles.
    line = Text(f"{to_datetime(alert.at_ms):%Y-%m-%d %H:%M:%SZ}  ", style="dim")
    line = Text.assemble(line, f"{alert.kind:<{_KIND_WIDTH}}  ")
    line.append(f"{alert.severity:<6}  ", _SEVERITY_STYLES[alert.severity])
    line.append(f"{name_in_ids(alert.subject)}  ", "bold")
    line.append(f"{describe_detail(alert.kind, alert.detail)}  ", "cyan")
    if alert.state is AlertState.RESOLVED:
        kind = find_kind(alert.kind)
        line.append(f"{kind.outcome if kind else alert.state} {_say_span(alert)} later", "green")
    elif alert.state is AlertState.EXPIRED:
        line.append(f"expired {_say_span(alert)} later", "dim")
    else:
        visitor = alert.detail if isinstance(alert.detail, VisitorDetail) else None
        chance = (
            "" if visitor is None or visitor.purchase is None else f"{visitor.purchase:.0%} chance to buy  "
        )
        line.append(chance + "; ".join(alert.reasons))
        if visitor is not None and visitor.offer is not None:
            line.append(f"  offer: {visitor.offer.words}", "magenta")
    if not alert.live:
        line.append("  (recorded only)", "dim")
    return line


def parse_since(text: str, now_ms: int) -> int:
    """Epoch ms of an RFC 3339 time, or of a span before now such as `30m`; raises `ValueError`."""
    if _SPAN.fullmatch(text):
        return now_ms - parse_span(text)
    return parse_time("since", text)


def parse_span(text: str) -> int:
    """Milliseconds of a span such as `30m`; raises `ValueError`."""
    span = _SPAN.fullmatch(text)
    if span is None:
        raise ValueError("must be a number with s, m, h or d, such as 30m")
    return int(span[1]) * _UNIT_MS[span[2]]


def _go_back(client: Redis, key: str, wanted: AlertFilter) -> str:
    """The cursor before the newest `BACKLOG` wanted steps, as far back as it is cheap to look."""
    found = looked = 0
    before = "+"
    cursor: str = str(START)
    while looked < _MAX_LOOKED_BACK:
        entries: Any = client.xrevrange(key, max=before, count=_PAGE)
        for entry_id, fields in entries:
            cursor = entry_id.decode()
            alert = decode_entry(entry_id, fields)
            if alert is not None and wanted.takes(alert):
                found += 1
                if found > BACKLOG:
                    return cursor
        looked += len(entries)
        if len(entries) < _PAGE:
            return str(START)
        before = f"({cursor}"
    return cursor


def _read(client: Redis, key: str, cursor: str) -> list[Any]:
    entries: Any = client.xrange(key, min=f"({cursor}", count=_PAGE)
    return list(entries)


def _await_entries(client: Redis, key: str, cursor: str) -> list[Any]:
    """The next entries behind the cursor, however long they take."""
    while True:
        try:
            if client.xread({key: cursor}, count=1, block=_WAIT_MS):
                return _read(client, key, cursor)
        except RedisError:  # it may come back, and what was published meanwhile is kept there
            time.sleep(_WAIT_MS / 1_000)


def _say_span(alert: Alert) -> str:
    seconds = (alert.at_ms - alert.fired_ms) / 1_000
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"
