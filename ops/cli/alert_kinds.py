"""The option that names a kind of alert: one of those that are registered, also by extensions."""

import typer

from contracts.alerts import kind_names
from contracts.extensions import load_contracts
from contracts.settings import Settings

KIND_METAVAR = f"[{'|'.join(kind_names())}]"
"""Kinds of the product; those of extensions are known once the settings are."""


def check_kinds(settings: Settings, *kinds: str | None) -> None:
    """Refuse a kind that neither the product nor an extension has; raises `typer.BadParameter`."""
    load_contracts(settings)
    known = kind_names()
    for kind in kinds:
        if kind is not None and kind not in known:
            names = ", ".join(map(repr, known))
            raise typer.BadParameter(f"{kind!r} is not one of {names}.", param_hint="'--kind'")
