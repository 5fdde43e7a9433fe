"""What `storepulse keys` does: keys in Redis, and how they are shown."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.text import Text

from api.http.query_times import parse_time
from api.identity.access import needs_keys_anyway
from api.identity.key_record import KeyRecord
from api.identity.key_store import KeyPlan, KeyStore, UnknownKey
from api.identity.key_text import KeyKind, KeyText, key_name, parse_name
from connections.asyncio_redis import open_redis_pool
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.settings import Settings
from readers.intervals import maybe_datetime, to_datetime

_CLOSES = """This is the first key. From now on, every request needs a key, also from this machine:
- requests without a key get 401, such as those of curl and the live page;
- STOREPULSE_ALLOWED_ORIGINS has no effect any more: a page needs a publishable key that lists its origin;
- Storepulse's own commands send STOREPULSE_API_KEY; create it with: storepulse keys create me --scope ...
To go back to an API without keys: storepulse keys reset
"""
_HOUR_MS = 3_600_000
_SPAN = re.compile(r"([0-9]{1,5})([hd])", re.ASCII)
_SPAN_MS = {"h": _HOUR_MS, "d": 24 * _HOUR_MS}
_USERS = {KeyKind.PUBLISHABLE: "", KeyKind.APP: "apps", KeyKind.WRITE: "servers, also in a URL or a body"}
_STATE_STYLES = {"active": "green", "expired": "yellow", "revoked": "red"}


class _Failed(Exception):
    """The command cannot do it; the message is for whoever typed it."""


def create_key(settings: Settings, plan: KeyPlan, *, as_json: bool) -> int:
    """Makes a key and prints it; the exit code."""

    async def act(store: KeyStore) -> None:
        is_first = not await store.load()
        key, record = await store.create(plan, wall_clock_ms())
        said = "Copy it now: only a hash of it is stored, so it cannot be shown again."
        if is_first and not needs_keys_anyway(settings):
            typer.echo(_CLOSES, err=True)
        _print_secret(key, record, as_json=as_json, said=said)

    return _run(settings, act)


def rotate_key(settings: Settings, key: str, *, overlap_h: float, as_json: bool) -> int:
    """Gives a key another secret and prints it; the exit code."""

    async def act(store: KeyStore) -> None:
        overlap_ms = round(overlap_h * _HOUR_MS)
        new, record = await store.rotate(_to_id(key), wall_clock_ms(), overlap_ms)
        until = f"{to_datetime(record.previous_until_ms):%Y-%m-%d %H:%M:%SZ}"
        said = (
            f"The previous secret is valid until {until}."
            if overlap_ms
            else "The previous secret is no longer valid."
        )
        _print_secret(new, record, as_json=as_json, said=said)

    return _run(settings, act)


def revoke_key(settings: Settings, key: str, *, as_json: bool) -> int:
    """Lets nobody in with a key any more; the exit code."""

    async def act(store: KeyStore) -> None:
        record = await store.revoke(_to_id(key), wall_clock_ms())
        if as_json:
            typer.echo(orjson.dumps(describe(record, None)))
        else:
            typer.echo(f"{_name_of(record)} ({record.name}) is revoked and stops working within 2 s.")

    return _run(settings, act)


def remove_keys(settings: Settings, *, as_json: bool) -> int:
    """Forgets all keys, so that an API on this machine asks for none again; the exit code."""

    async def act(store: KeyStore) -> None:
        n_keys = await store.remove_all()
        if as_json:
            typer.echo(orjson.dumps({"removed": n_keys}))
            return
        after = (
            "The API still requires a key: it has a root key, or can be reached from other machines."
            if needs_keys_anyway(settings)
            else "Within 2 s, the API answers requests from this machine without a key again."
        )
        typer.echo(f"{n_keys} {'key is' if n_keys == 1 else 'keys are'} deleted. {after}")

    return _run(settings, act)


def list_keys(settings: Settings, *, as_json: bool) -> int:
    """Prints every key ever made, newest first; the exit code."""

    async def act(store: KeyStore) -> None:
        records, uses = await store.load(), await store.load_uses()
        newest = sorted(records.values(), key=lambda record: record.created_ms, reverse=True)
        if as_json:
            typer.echo(orjson.dumps([describe(record, uses.get(record.key_id)) for record in newest]))
        elif newest:
            console = Console(highlight=False, soft_wrap=True)
            for record in newest:
                console.print(_lines(record, uses.get(record.key_id)))
        else:
            asks = settings.root_key is not None
            typer.echo(
                "There are no keys. "
                + ("The API requires the root key." if asks else "On loopback, the API then needs no key.")
            )

    return _run(settings, act)


def describe(record: KeyRecord, used_ms: int | None) -> dict[str, Any]:
    """A key as JSON shows it, without hashes; times are RFC 3339. null: never, or no limit of its own.

    `key_prefix` is what of the key may be shown.
    """
    times = {
        "created_at": record.created_ms,
        "expires_at": record.expires_ms,
        "revoked_at": record.revoked_ms,
    }
    shown = {name: maybe_datetime(at_ms) for name, at_ms in times.items()}
    return {
        "id": record.key_id,
        "key_prefix": _name_of(record),
        "name": record.name,
        "state": record.state(wall_clock_ms()),
        "kind": record.kind.value,
        "publishable": record.kind is KeyKind.PUBLISHABLE,
        "scopes": list(record.scopes),
        "origins": list(record.origins),
        "may_purchase": record.may_purchase,
        **shown,
        "last_used_at": maybe_datetime(used_ms),
        "requests_per_s": record.requests_per_s,
        "events_per_minute": record.events_per_minute,
        "events_per_day": record.events_per_day,
    }


def parse_expiry(text: str) -> int:
    """Epoch ms of an RFC 3339 time, or of a span from now such as `90d`; raises `ValueError`."""
    span = _SPAN.fullmatch(text)
    now_ms = wall_clock_ms()
    expires_ms = parse_time("expires", text) if span is None else now_ms + int(span[1]) * _SPAN_MS[span[2]]
    if expires_ms <= now_ms:
        raise ValueError("expires must be in the future")
    return expires_ms


def _run(settings: Settings, act: Callable[[KeyStore], Awaitable[None]]) -> int:
    async def run() -> None:
        redis = open_redis_pool(settings)
        try:
            await act(KeyStore(redis, Keys(settings.namespace, settings.partitions)))
        finally:
            await redis.aclose()

    try:
        asyncio.run(run())
    except RedisError as exc:
        typer.echo(
            f"cannot read the keys: Redis does not answer ({exc})\n`storepulse up` starts a stack.", err=True
        )
        return 1
    except (UnknownKey, ValueError, _Failed) as exc:
        typer.echo(str(exc.args[0]), err=True)
        return 1
    return 0


def _print_secret(key: KeyText, record: KeyRecord, *, as_json: bool, said: str) -> None:
    """The key alone goes to stdout, so that it can be piped where it belongs."""
    if as_json:
        typer.echo(orjson.dumps({**describe(record, None), "api_key": str(key)}))
        return
    typer.echo(str(key))
    typer.echo(said, err=True)


def _lines(record: KeyRecord, used_ms: int | None) -> Text:
    """Three lines: which key, what it may, and its times."""
    state = record.state(wall_clock_ms())
    # Text, not markup: somebody typed the name.
    lines = Text.assemble(_name_of(record), "  ", (record.name, "bold"), "  ", (state, _STATE_STYLES[state]))
    expires = "never expires" if record.expires_ms is None else f"expires {_minute(record.expires_ms)}"
    used = "not used yet" if used_ms is None else f"last used {_minute(used_ms)}"
    lines.append(f"\n    {_powers(record)}\n")
    lines.append(f"    made {_minute(record.created_ms)}, {expires}, {used}", "dim")
    return lines


def _powers(record: KeyRecord) -> str:
    scopes = " ".join(record.scopes)
    if record.kind is KeyKind.SECRET:
        return scopes
    purchases = "" if record.may_purchase else ", no purchases"
    return f"{scopes} from {_USERS[record.kind] or ' '.join(record.origins)}{purchases}"


def _minute(at_ms: int) -> str:
    return f"{to_datetime(at_ms):%Y-%m-%d %H:%MZ}"


def _name_of(record: KeyRecord) -> str:
    return key_name(record.kind, record.key_id)


def _to_id(text: str) -> str:
    key_id = parse_name(text)
    if key_id is None:
        raise _Failed("give the id of the key, as `storepulse keys list` shows it; never its secret part")
    return key_id
