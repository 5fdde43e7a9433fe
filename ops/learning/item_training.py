"""`storepulse train next-item`: sessions in, an artefact and the log of its run out."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from contracts.visitor import Action
from models.next_item.sessions import UNKNOWN, Sessions, code_catalogue, split_by_time
from ops.learning.shop_events import make_progress, read_events
from ops.learning.training import EXIT_ERROR, EXIT_USAGE, OWN_LICENCE
from sources import UnknownFormat, fingerprint

if TYPE_CHECKING:  # its modules need the extra [train]
    from models.next_item.training.fit import Epoch
    from models.next_item.training.recipe import Recipe, Trained

EXPERIMENT = "storepulse-next-item"
_FILE_WIDTH = 120
"""Columns where the table goes to a file or a pipe."""


@dataclass(frozen=True, slots=True)
class ItemTrainingOptions:
    """What was asked for: `train`, a file of sequences or of a log, or `events`, a file of events."""

    train: Path | None
    events: Path | None
    out: Path
    runs: Path
    kind: str = "gru"
    width: int = 100
    loss: str = "sampled"
    negatives: int = 8_192
    uniformity: float = 0.0
    cart_weight: float = 1.0
    purchase_weight: float = 1.0
    most_epochs: int = 10
    held_back: float = 0.0
    refit: bool = True
    ranker: bool = True
    seed: int = 1
    threads: int = 1
    idle_ms: int = 30 * 60_000
    currency: str = "EUR"


def run_item_training(options: ItemTrainingOptions) -> int:
    """Train, write the artefact, print what it is worth; returns the exit code."""
    from models.next_item.training.recipe import train
    from models.tracking import RunsError, log_run

    errors = Console(stderr=True)
    try:
        recipe, path = _recipe(options), _file_of(options)
        with make_progress(errors, path.name) as progress:
            sessions, ids, actions = _without_latest(_read(path, options, progress), options.held_back)
        with make_progress(errors, f"{options.kind} on {path.name}") as progress:
            origin = f"{path.name} ({fingerprint(path)})"
            on_epoch, on_question = _reporter(progress, options), _question_reporter(progress, recipe)
            trained = train(
                sessions, ids, recipe,
                actions=actions, origin=origin, on_epoch=on_epoch, on_question=on_question,
            )  # fmt: skip
        trained.write(options.out)
        name = f"next-item-{trained.artefact.card.version}"
        logged = log_run(options.runs, EXPERIMENT, name, *_run(trained))
    except (ValueError, OSError, RunsError) as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_ERROR if isinstance(exc, (UnknownFormat, OSError, RunsError)) else EXIT_USAGE
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(_summary(trained, options.out, logged))
    return 0


def _file_of(options: ItemTrainingOptions) -> Path:
    given = [path for path in (options.train, options.events) if path is not None]
    if len(given) != 1:
        raise ValueError(f"give one file, with --train or with --events, got {len(given)}")
    return given[0]


class _Material(NamedTuple):
    """Sessions, the names of their items by code, and of events what visitors did, in order of time."""

    sessions: Sessions
    ids: npt.NDArray[np.str_]
    actions: list[tuple[str, Action]] | None = None


def _read(path: Path, options: ItemTrainingOptions, progress: Progress) -> _Material:
    if options.events is not None:
        from models.next_item.visits import sessions_and_products
        from models.recommendation.evaluation.replay import actions_in_time

        events = list(read_events(path, progress, currency=options.currency))
        sessions, products = sessions_and_products(events, idle_ms=options.idle_ms)
        return _Material(sessions, np.array(products, dtype=np.str_), actions_in_time(events))
    from ops.learning.item_files import code_sessions, names_of, read_item_file

    file = read_item_file(path)
    return _Material(code_sessions(file)[0], names_of(file))


def _without_latest(material: _Material, share: float) -> _Material:
    """What `evaluate next-item` learns from where it holds back this share of the sessions itself."""
    if not share:
        return material
    earlier, later = split_by_time(material.sessions, share)
    sessions, code_of = code_catalogue(earlier)
    actions = material.actions
    if actions is not None and later.at_ms is not None:
        border_ms = int(later.at_ms[0])
        actions = [one for one in actions if one[1].at_ms < border_ms]
    return _Material(sessions, material.ids[code_of != UNKNOWN], actions)


def _recipe(options: ItemTrainingOptions) -> "Recipe":
    from models.next_item.training.net_config import FitConfig, NetConfig
    from models.next_item.training.ranker import RankerConfig
    from models.next_item.training.recipe import Recipe, action_weights, kind_of, loss_of

    fit = FitConfig(
        loss=loss_of(options.loss),
        negatives=options.negatives,
        uniformity=options.uniformity,
        action_weights=action_weights(options.cart_weight, options.purchase_weight),
        most_epochs=options.most_epochs,
        refit=options.refit,
    )
    net = NetConfig(kind=kind_of(options.kind), width=options.width)
    ranker = RankerConfig() if options.ranker else None
    return Recipe(net, fit, options.seed, options.threads, OWN_LICENCE, ranker, options.idle_ms)


def _reporter(progress: Progress, options: ItemTrainingOptions) -> Callable[["Epoch"], None]:
    """What shows each epoch; those of the refit come after those with validation."""
    task = progress.add_task("epoch 1", total=options.most_epochs)

    def on_epoch(epoch: "Epoch") -> None:
        if math.isnan(epoch.ndcg):
            words = f"on all sessions, epoch {epoch.number}: loss {epoch.train_loss:.3f}"
        else:
            words = (
                f"epoch {epoch.number}: loss {epoch.train_loss:.3f}, "
                f"Recall@20 {epoch.recall:.4f}, MRR@20 {epoch.mrr:.4f}"
            )
        words += f", {epoch.cases_per_s:,.0f} prefixes/s"
        progress.update(task, description=words, completed=epoch.number)

    return on_epoch


def _question_reporter(progress: Progress, recipe: "Recipe") -> Callable[[], None]:
    """What shows how many questions the ranker has the candidates of."""
    if recipe.ranker is None:
        return lambda: None
    task = progress.add_task("ranker: questions", total=recipe.ranker.most_asked)
    return lambda: progress.advance(task)


def _run(trained: "Trained") -> tuple[dict[str, object], dict[str, float]]:
    """Parameters and metrics as a tracking server takes them: flat."""
    card = trained.artefact.card
    parameters = {
        **{f"{part}_{name}": value for part, own in card.config.items() for name, value in own.items()},
        **card.training,
        "version": card.version,
    }
    metrics = {f"valid.{name}": value for name, value in card.metrics["valid"].items()}
    if card.ranker is not None:
        for row, figures in card.ranker.metrics.items():
            metrics |= {f"{row}.{name}": value for name, value in figures.items()}
    return parameters, metrics


def _summary(trained: "Trained", out: Path, logged: Path) -> Table:
    card, fitted = trained.artefact.card, trained.fitted
    pace = sum(epoch.cases_per_s for epoch in fitted.history) / len(fitted.history)
    table = Table(
        title=f"{card.config['net']['kind']} {card.version} in {out}",
        caption=f"{card.training['prefixes']:,} prefixes of {card.training['sessions']:,} sessions, "
        f"{card.training['epochs']} epochs at {pace:,.0f} prefixes/s; run in {logged}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("newest tenth")
    for name in card.metrics["valid"]:
        table.add_column(name, justify="right")
    table.add_row("network", *(f"{value:.4f}" for value in card.metrics["valid"].values()))
    for row, figures in {} if card.ranker is None else card.ranker.metrics.items():
        table.add_row(f"live, {row}", *(f"{figures[name]:.4f}" for name in card.metrics["valid"]))
    return table
