"""Commands about API keys. They work on Redis, so they need no key themselves."""

from typing import Annotated

import typer

from api.identity.principal import Scope
from ops.cli.installation import find_redis
from ops.cli.options import JsonOption, StateOption
from ops.stack.record import DEFAULT_STATE

KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the key, or sk_live_ID.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    keys = typer.Typer(help="API keys: create, list, rotate, revoke, reset.", no_args_is_help=True)
    keys.command("create")(create)
    keys.command("list")(show)
    keys.command("rotate")(rotate)
    keys.command("revoke")(revoke)
    keys.command("reset")(reset)
    app.add_typer(keys, name="keys")


def create(
    name: Annotated[str, typer.Argument(help="Name of the key, to tell keys apart.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(metavar="SCOPE", help=f"Scope of a secret key; repeatable: {', '.join(Scope)}."),
    ] = None,
    publishable: Annotated[
        bool, typer.Option("--publishable", help="For pages: sends events, from --origin.")
    ] = False,
    for_app: Annotated[
        bool, typer.Option("--app", help="For native apps: sends events, without an origin.")
    ] = False,
    write_only: Annotated[
        bool,
        typer.Option(
            "--write-only",
            help="For servers whose library puts its key into the URL or body: may only send events.",
        ),
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Where a publishable key is used: https://shop.example; repeatable."),
    ] = None,
    allow_purchases: Annotated[
        bool,
        typer.Option(
            "--allow-purchases", help="Let a key for pages or apps send purchases; anyone can forge them."
        ),
    ] = False,
    allow_recommendations: Annotated[
        bool,
        typer.Option(
            "--allow-recommendations",
            help="Let a key for pages or apps ask what to show the device it is on.",
        ),
    ] = False,
    expires: Annotated[str | None, typer.Option(help="Expiry: 90d, 12h, or 2030-01-01T00:00:00Z.")] = None,
    requests_per_s: Annotated[
        int | None, typer.Option(help="0: no limit; default: as in the settings.", min=0)
    ] = None,
    events_per_minute: Annotated[
        int | None, typer.Option(help="0: no quota; default: as in the settings.", min=0)
    ] = None,
    events_per_day: Annotated[
        int | None, typer.Option(help="0: no quota; default: as in the settings.", min=0)
    ] = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Create a key and print it. Copy it now; it cannot be shown again.

    Example: storepulse keys create "web shop" --publishable --origin https://shop.example
    """
    from api.identity.key_store import KeyPlan
    from api.identity.key_text import KeyKind
    from api.identity.origins import normalise_origins
    from ops.keys.commands import create_key, parse_expiry

    chosen = {KeyKind.PUBLISHABLE: publishable, KeyKind.APP: for_app, KeyKind.WRITE: write_only}
    kinds = [kind for kind, is_chosen in chosen.items() if is_chosen] or [KeyKind.SECRET]
    try:
        if len(kinds) > 1:
            raise ValueError("a key is for pages, for apps or for servers: choose one")
        (kind,) = kinds
        scopes = list(scope or ([Scope.EVENTS_WRITE] if kind.is_exposed else []))
        if allow_recommendations:
            scopes.append(Scope.RECOMMENDATIONS_READ)
        plan = KeyPlan(
            name=name,
            kind=kind,
            scopes=tuple(dict.fromkeys(scopes)),
            origins=normalise_origins(origin or ()),
            may_purchase=allow_purchases or kind in (KeyKind.SECRET, KeyKind.WRITE),
            expires_ms=None if expires is None else parse_expiry(expires),
            requests_per_s=requests_per_s,
            events_per_minute=events_per_minute,
            events_per_day=events_per_day,
        )
        plan.check()
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from exc
    raise typer.Exit(create_key(find_redis(state), plan, as_json=json))


def show(state: StateOption = DEFAULT_STATE, json: JsonOption = False) -> None:
    """List all keys, without their secrets."""
    from ops.keys.commands import list_keys

    raise typer.Exit(list_keys(find_redis(state), as_json=json))


def rotate(
    key: KeyArgument,
    overlap: Annotated[
        float, typer.Option(help="Hours for which the old secret stays valid.", min=0, max=8760)
    ] = 24.0,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Replace a key's secret and print the new one. The old one stays valid for a while.

    Example: storepulse keys rotate k3jw0c81n2ab --overlap 2
    """
    from ops.keys.commands import rotate_key

    raise typer.Exit(rotate_key(find_redis(state), key, overlap_h=overlap, as_json=json))


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete all keys for good: an API on this machine then needs none, as before the first one."""
    from ops.keys.commands import remove_keys
    from ops.stack.record import find_settings

    if not yes:
        typer.confirm("All keys stop working, and this cannot be undone. Continue?", abort=True, err=True)
    raise typer.Exit(remove_keys(find_settings(state), as_json=json))


def revoke(key: KeyArgument, state: StateOption = DEFAULT_STATE, json: JsonOption = False) -> None:
    """Revoke a key, permanently; it takes effect within two seconds."""
    from ops.keys.commands import revoke_key

    raise typer.Exit(revoke_key(find_redis(state), key, as_json=json))
