"""`storepulse events tail`: what becomes of events as they are sent to the API, as lines."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.text import Text

from api.resources.events.tail import WATCH_S
from api.resources.events.tail_publisher import CHECK_S, EVERYTHING
from connections.redis import open_redis
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from ops.diagnosis.remedies import REMEDIES

_RENEW_S = WATCH_S / 3
_POLL_S = 0.5
_RESULT_STYLES = {"accepted": "green", "rejected": "bold red", "problem": "bold red"}


@dataclass(frozen=True, slots=True)
class EventTailOptions:
    """Whose events to show (None: everybody's), for how long (None: until Ctrl-C), and how."""

    key_id: str | None
    for_s: float | None
    as_json: bool


def run_events_tail(settings: Settings, options: EventTailOptions) -> int:
    """Print what becomes of events until Ctrl-C; the exit code is 1 if Redis is not there."""
    console = Console(highlight=False, soft_wrap=True)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with open_redis(settings) as client:
        try:
            for content in watch_events(client, Keys(settings.namespace, settings.partitions), options):
                _print(console, errors, content, as_json=options.as_json)
        except KeyboardInterrupt:
            return 0
        except RedisError as exc:
            errors.print(f"cannot read events: {exc}\n`storepulse up` starts a stack.", markup=False)
            return 1
    return 0


def watch_events(client: Redis, keys: Keys, options: EventTailOptions) -> Iterator[dict[str, Any]]:
    """What `api.resources.events.tail_publisher` publishes: `requests` and how many were `skipped`.

    An empty dict comes when every process has noticed that somebody watches. Raises `RedisError`.
    """
    watched = EVERYTHING if options.key_id is None else options.key_id
    begun_s, renewed_s = time.monotonic(), float("-inf")
    is_ready = False
    pubsub: Any = client.pubsub()  # type: ignore[no-untyped-call]
    with pubsub:
        pubsub.subscribe(keys.tail(watched))
        while options.for_s is None or time.monotonic() - begun_s < options.for_s:
            if time.monotonic() - renewed_s >= _RENEW_S:
                renewed_s = time.monotonic()
                client.zadd(keys.tail_watchers(), {watched: wall_clock_ms() + int(WATCH_S * 1_000)})
                client.pexpire(keys.tail_watchers(), int(WATCH_S * 1_000))
            if not is_ready and time.monotonic() - begun_s > CHECK_S:
                is_ready = True
                yield {}
            message: Any = pubsub.get_message(ignore_subscribe_messages=True, timeout=_POLL_S)
            if message is not None:
                yield orjson.loads(message["data"])


def render_request(request: dict[str, Any]) -> list[Text]:
    """A line per event, refusal and problem of one request."""
    # Text, not markup: what visitors typed must not become styles.
    begin = f"{request['received_at'][:23].replace('T', ' ')}Z  {request['key_id'] or '-':<10}  "
    result = "valid" if request["dry_run"] else "accepted"
    lines = [_line(begin, result, _say_event(event)) for event in request["events"]]
    for error in request["errors"]:
        named = f" (event {error['event_id']})" if error["event_id"] else ""
        by = f" by {request['source']}" if request.get("source") else ""
        remedy = f"; {REMEDIES[error['code']]}" if error["code"] in REMEDIES else ""
        said = f"[{error['index']}] {error['code']}: {error['detail']}{named}{by}{remedy}"
        lines.append(_line(begin, "rejected", said))
    for name in ("duplicates", "dropped"):
        if request[name]:
            lines.append(_line(begin, name, str(request[name])))
    problem = request["problem"]
    if problem is not None:
        lines.append(_line(begin, "problem", f"{problem['code']}: {problem['detail']}"))
    unseen = (
        max(0, request["accepted"] - len(request["events"])) + request["rejected"] - len(request["errors"])
    )
    if unseen:
        lines.append(_line(begin, "and", f"{unseen} more in request {request['request_id']}"))
    return lines


def _print(console: Console, errors: Console, content: dict[str, Any], *, as_json: bool) -> None:
    if not content:
        errors.print("watching", style="dim")
        return
    for request in content["requests"]:
        if as_json:
            console.out(orjson.dumps(request).decode())
        else:
            for line in render_request(request):
                console.print(line)
    if content["skipped"]:
        errors.print(f"{content['skipped']} requests not shown, as there were too many", style="yellow")


def _line(begin: str, result: str, text: str) -> Text:
    return Text.assemble((begin, "dim"), (f"{result:<10}  ", _RESULT_STYLES.get(result, "yellow")), text)


def _say_event(event: dict[str, Any]) -> str:
    price = f"  {event['price']} {event['currency']}" if "price" in event else ""
    count = f" x{event['quantity']}" if "quantity" in event else ""
    what = f"{event.get('product_id') or event.get('order_id', '-')}{count}{price}"
    who = " ".join([event[name] for name in ("anonymous_id", "user_id") if event.get(name) is not None])
    return f"{event['event_type']:<16}  {who}  {what}  {event['event_id']}"
