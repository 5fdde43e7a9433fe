"""`storepulse train next-basket`, and the predictions of one model for users of a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console

from models.artefacts.card import write_artefact
from models.next_basket.baskets import Baskets, Cases, Floats, require_times
from models.next_basket.evaluation.comparison import measure, predict
from models.next_basket.evaluation.figures import LONGEST
from models.next_basket.evaluation.rows import choose_rows
from models.next_basket.evaluation.splits import split_by_time, split_by_user, training_before
from models.next_basket.model import Examples, Training
from models.next_basket.ranker import TreeRanker
from models.next_basket.served import COUNTS_FILE
from models.next_basket.training.export import export_ranker
from ops.learning.basket_files import BasketFile, parse_left_out, read_baskets, read_ids
from ops.learning.basket_report import cut_of
from ops.learning.results import say_failure
from ops.learning.shop_events import make_progress, title_of
from ops.learning.training import OWN_LICENCE
from sources import fingerprint

DEFAULT_MODEL = "tree ranker"
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class BasketTrainingOptions:
    """What was asked for."""

    data: Path
    items: Path | None
    left_out: tuple[str, ...]
    out: Path
    seed: int


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """Which users of `data` to predict for; `out` is a parquet file, or CSV by its name."""

    data: Path
    items: Path | None
    left_out: tuple[str, ...]
    users: Path
    out: Path
    model: str


def run_basket_training(options: BasketTrainingOptions) -> int:
    """Train the ranker on everything, write the artefact, print what it is worth; returns the exit code.

    Its figures are those of the same settings on a part that was held back, before it learns from all.
    """
    errors = Console(stderr=True)
    make = partial(TreeRanker, seed=options.seed, with_others=False)
    try:
        with make_progress(errors, title_of(options.data)) as progress:
            task = progress.add_task("reading", total=3)
            file = _read(options.data, options.items, options.left_out)
            progress.update(task, description="measuring", completed=1)
            held_out, figures = _measure(file, make(), options.seed)
            progress.update(task, description="training", completed=2)
            ranker = make()
            training = training_of(file)
            ranker.fit(training)
            progress.update(task, completed=3)
        model, card, counts = export_ranker(
            ranker,
            training.known,
            [str(item_id) for item_id in file.item_ids],
            training={
                "file": title_of(options.data),
                "sha256": fingerprint(options.data),
                "baskets": training.known.n_baskets,
                "users": training.known.n_users,
                "items": training.known.n_items,
                "seed": options.seed,
            },
            metrics={held_out: figures},
            licence=OWN_LICENCE,
        )
        write_artefact(options.out, model, card, {COUNTS_FILE: counts})
    except (ValueError, OSError) as exc:
        return say_failure(errors, exc)
    console = Console()
    console.print(
        f"tree ranker {card.version} in {options.out}: {len(model) / 1e3:.0f} kB and "
        f"{len(counts) / 1e3:.0f} kB of counts, {held_out}",
        markup=False,
    )
    for name, value in figures.items():
        console.print(f"  {name} {value:.4f}")
    return 0


def run_basket_prediction(options: PredictionOptions) -> int:
    """Write the first 20 items for every user asked for; returns the exit code."""
    errors = Console(stderr=True)
    try:
        (row,) = choose_rows((options.model or DEFAULT_MODEL,)).values()
        with make_progress(errors, title_of(options.data)) as progress:
            task = progress.add_task("reading", total=3)
            file = _read(options.data, options.items, options.left_out)
            histories = _histories_of(file, read_ids(options.users), options.users.name)
            progress.update(task, description="fitting", completed=1)
            model = row.make(**row.settings[0])
            model.fit(training_of(file))
            progress.update(task, description="ranking", completed=2)
            ranked = predict(model, histories, LONGEST)
            progress.update(task, completed=3)
        frame = pl.DataFrame(
            {
                "user_id": [file.user_ids[user] for user in histories.users],
                "items": [[file.item_ids[item] for item in row if item >= 0] for row in ranked.tolist()],
            }
        )
        if options.out.suffix == ".csv":
            frame.explode("items").rename({"items": "item_id"}).write_csv(options.out)
        else:
            frame.write_parquet(options.out)
    except (ValueError, OSError) as exc:
        return say_failure(errors, exc)
    Console().print(f"{len(frame):,} users in {options.out}", markup=False)
    return 0


def training_of(file: BasketFile) -> Training:
    """All that a file holds to learn from: futures, or the last tenth of the time, are the examples."""
    if file.futures is None:
        cut, until = cut_of(file.baskets, None, None)
        return training_before(file.baskets, until, until - cut)
    has_future = np.isin(file.baskets.users, file.futures.users)
    histories = file.baskets.of_users(np.flatnonzero(has_future))
    return Training(file.baskets, [Examples(file.baskets, Cases(histories, file.futures))])


def _measure(file: BasketFile, ranker: TreeRanker, seed: int) -> tuple[str, Mapping[str, float]]:
    if file.futures is None:
        cut, until = cut_of(file.baskets, None, None)
        part, name = split_by_time(file.baskets, cut=cut, until=until, least=3).test, "last tenth of the time"
    else:
        has_future = np.isin(file.baskets.users, file.futures.users)
        histories = file.baskets.of_users(np.flatnonzero(has_future))
        part, name = (
            next(split_by_user(histories, file.futures, folds=_FOLDS, seed=seed)).test,
            "one user in five",
        )
    figures, _, _ = measure(ranker, part)
    return name, {each: float(np.nanmean(values)) for each, values in figures.items()}


def _read(data: Path, items: Path | None, left_out: Sequence[str]) -> BasketFile:
    return read_baskets(data, [parse_left_out(text, items) for text in left_out])


def _histories_of(file: BasketFile, wanted: Sequence[str], name: str) -> Baskets:
    """The whole histories of the users; raises `ValueError` for one that the file does not know."""
    known: dict[str, Any] = {str(file.user_ids[user]): i for i, user in enumerate(file.baskets.users)}
    unknown = [user for user in wanted if user not in known]
    if unknown:
        raise ValueError(f"{name}: users must be in the file of baskets, got {unknown[0]!r}")
    histories = file.baskets.of_users(np.array([known[user] for user in wanted], np.int64))
    return histories if file.baskets.at_days is None else histories._replace(asked_days=_expected(histories))


def _expected(histories: Baskets) -> Floats:
    """When each user's next basket is due: the newest one and the mean time between baskets."""
    at_days = require_times(histories)
    newest, oldest = at_days[histories.user_starts[1:] - 1], at_days[histories.user_starts[:-1]]
    return np.asarray(newest + (newest - oldest) / np.maximum(histories.counts() - 1, 1))
