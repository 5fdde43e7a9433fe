"""`storepulse train next-action`: events in, an artefact and the log of its run out."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from contracts.events import Event
from models.next_action.prefixes import PrefixSet, prefixes_of
from ops.extras import install_command
from ops.learning.shop_events import make_progress, read_events, simulate_events
from sources import UnknownFormat, fingerprint

if TYPE_CHECKING:  # its modules need the extra [train]
    from models.next_action.card import NextActionCard
    from models.next_action.training.fit import Epoch
    from models.next_action.training.recipe import Recipe, Trained

EXIT_ERROR, EXIT_USAGE = 1, 2
EXPERIMENT = "storepulse-next-action"
_FILE_WIDTH = 160
"""Columns where the table goes to a file or a pipe."""
SIMULATED_LICENCE = "Trained on simulated events only; under the licence of Storepulse."
OWN_LICENCE = "Trained on the files named under training; their terms apply."
_SHOWN = {
    "log loss": "log_loss",
    "accuracy": "accuracy",
    "macro-F1": "macro_f1",
    "ECE": "action_ece",
    "PR-AUC": "purchase_pr_auc",
    "ROC-AUC": "purchase_roc_auc",
    "purchase ECE": "purchase_ece",
}


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What was asked for. `profiles` are simulated for `simulated_days` each, beside the files.

    `embeddings`: the network reads the names of products, categories and brands, of one shop then. `rates`:
    the model reads how items convert.
    """

    files: tuple[Path, ...]
    out: Path
    runs: Path
    kind: str = "blend"
    seed: int = 1
    train: float = 0.7
    valid: float = 0.15
    most_epochs: int = 30
    idle_ms: int = 30 * 60_000
    simulated_days: float = 0.0
    profiles: tuple[str, ...] = ()
    format_name: str | None = None
    currency: str = "EUR"
    embeddings: bool = False
    rates: bool = True


def run_training(options: TrainingOptions) -> int:
    """Train, write the artefact, print what it is worth; returns the exit code."""
    errors = Console(stderr=True)
    try:
        from models.artefacts.card import write_artefact
        from models.next_action.training.recipe import train
        from models.tracking import RunsError, log_run
    except ImportError as exc:
        is_missing = isinstance(exc, ModuleNotFoundError)
        words = f"{exc.name} is missing: {install_command('train')}" if is_missing else str(exc)
        errors.print(words, markup=False, soft_wrap=True)
        return EXIT_ERROR
    try:
        recipe = _recipe(options)
        shops = _read_shops(options, errors)
        with make_progress(errors, f"{options.kind} on {', '.join(shops)}") as progress:
            trained = train(shops, recipe, *_reporters(progress, options.most_epochs))
        write_artefact(options.out, trained.model, trained.card)
        logged = log_run(options.runs, EXPERIMENT, f"next-action-{trained.card.version}", *_run(trained))
    except (ValueError, OSError, RunsError) as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_ERROR if isinstance(exc, (UnknownFormat, OSError, RunsError)) else EXIT_USAGE
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    console.print(_summary(trained, options.out, logged))
    return 0


def _recipe(options: TrainingOptions) -> "Recipe":
    from models.next_action.training.fit import FitConfig
    from models.next_action.training.recipe import recipe_of

    return recipe_of(
        options.kind.replace("-", "_"),
        FitConfig(most_epochs=options.most_epochs),
        embeddings=options.embeddings,
        rates=options.rates,
        seed=options.seed,
        train=options.train,
        valid=options.valid,
        licence=OWN_LICENCE if options.files else SIMULATED_LICENCE,
    )


def _read_shops(options: TrainingOptions, errors: Console) -> dict[str, PrefixSet]:
    """Cases by the name of the shop; a file's name carries its fingerprint."""
    sources: dict[str, Callable[[Progress], Iterable[Event]]] = {}
    for path in options.files:
        name = f"{path.name} ({fingerprint(path)})"
        sources[name] = partial(_read, path, options)
    for profile in options.profiles if options.simulated_days else ():
        name = f"simulated {profile} ({options.simulated_days:g} days, seed {options.seed})"
        sources[name] = partial(simulate_events, options.simulated_days, seed=options.seed, profile=profile)
    if not sources:
        raise ValueError("give files with --events FILE..., or --simulate DAYS")
    shops = {}
    for name, events in sources.items():
        with make_progress(errors, name) as progress:
            shops[name] = prefixes_of(events(progress), idle_ms=options.idle_ms)
    return shops


def _read(path: Path, options: TrainingOptions, progress: Progress) -> Iterable[Event]:
    return read_events(path, progress, currency=options.currency, format_name=options.format_name)


def _reporters(
    progress: Progress, most_epochs: int
) -> tuple[Callable[["Epoch"], None], Callable[[int], None]]:
    """What shows each epoch of the network and each round of trees."""
    task = progress.add_task("epoch 1", total=most_epochs)

    def on_epoch(epoch: "Epoch") -> None:
        losses = f"valid {epoch.action_loss:.4f} + {epoch.purchase_loss:.4f}"
        progress.update(task, description=f"epoch {epoch.number}: {losses}", completed=epoch.number)

    def on_round(number: int) -> None:
        progress.update(task, description=f"trees: round {number}", total=None)

    return on_epoch, on_round


def _run(trained: "Trained") -> tuple[dict[str, object], dict[str, float]]:
    """Parameters and metrics as a tracking server takes them: flat."""
    card = trained.card
    parameters = {
        **{f"{part}_{name}": value for part, own in card.config.items() for name, value in own.items()},
        **{name: value for name, value in card.training.items() if name != "shops"},
        **{f"data_{name}": shop["sha256"] for name, shop in card.training["shops"].items()},
        "version": card.version,
    }
    metrics = {
        f"{part}.{name}": value
        for part, figures in card.metrics.items()
        for name, value in figures.items()
        if value is not None
    }
    return parameters, metrics


def _kind(card: "NextActionCard") -> str:
    net = card.config["net"]["kind"]
    return f"blend of {net} and trees" if "trees" in card.config else str(net)


def _summary(trained: "Trained", out: Path, logged: Path) -> Table:
    card = trained.card
    table = Table(
        title=f"{_kind(card)} {card.version} in {out}",
        caption=f"{card.training['parameters']:,} parameters, {len(trained.model) / 1e3:.0f} kB, "
        f"{card.training['epochs']} epochs; reasons explain {card.surrogate.fidelity:.0%}; run in {logged}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("cases")
    for title in _SHOWN:
        table.add_column(title, justify="right")
    for part, figures in card.metrics.items():
        values = (figures[name] for name in _SHOWN.values())
        table.add_row(part, *("-" if value is None else f"{value:.4f}" for value in values))
    return table
