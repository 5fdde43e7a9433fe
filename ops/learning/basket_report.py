"""`storepulse evaluate next-basket`: baskets in, one table out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from models.next_basket.baskets import Baskets, require_times
from models.next_basket.evaluation.comparison import best_list, compare, count_fits
from models.next_basket.evaluation.report import make_notes, make_table, to_plain
from models.next_basket.evaluation.rows import choose_rows, missing_peers
from models.next_basket.evaluation.splits import Round, split_by_time, split_by_user
from ops.learning.basket_files import BasketFile, parse_left_out, read_baskets
from ops.learning.results import describe_machine, open_console, save_json, say_failure
from ops.learning.shop_events import make_progress, title_of
from sources import fingerprint

_FILE_WIDTH = 240
"""Columns where the table goes to a file or a pipe: it is not folded there."""


@dataclass(frozen=True, slots=True)
class BasketOptions:
    """What was asked for. `cut` and `until` None: the last tenth of the time; `models` empty: all of them."""

    data: Path
    items: Path | None
    left_out: tuple[str, ...]
    folds: int
    rounds: int | None
    seed: int
    cut: datetime | None
    until: datetime | None
    least: int
    models: tuple[str, ...]
    json: Path | None


def run_basket_evaluation(options: BasketOptions) -> int:
    """Measure, print the table, write the JSON; returns the exit code."""
    errors = Console(stderr=True)
    try:
        rows = choose_rows(options.models)
        left_out = [parse_left_out(text, options.items) for text in options.left_out]
        with make_progress(errors, title_of(options.data)) as progress:
            reading = progress.add_task("reading", total=None)
            file = read_baskets(options.data, left_out)
            rounds, n_rounds, protocol = _rounds(file, options)
            task = progress.add_task("fits", total=n_rounds * count_fits(rows))
            progress.update(reading, visible=False)

            def on_fit(name: str, done: int) -> None:
                progress.update(task, description=name, completed=done)

            scores = compare(rounds, rows, on_fit)
    except (ValueError, OSError) as exc:
        return say_failure(errors, exc)
    reference = best_list(scores)
    console = open_console(_FILE_WIDTH)
    n_cases = len(scores[0].figures()["recall@10"])
    console.print(make_table(f"{title_of(options.data)}: {protocol}, {n_cases:,} cases", scores, reference))
    for note in make_notes(scores):
        console.print(note, markup=False)
    if (missing := missing_peers()) and not options.models:
        console.print(f"not installed: {', '.join(missing)}", markup=False)
    plain = {
        **describe_machine(),
        "file": title_of(options.data),
        "fingerprint": fingerprint(options.data),
        "protocol": protocol,
        "cases": n_cases,
        "seed": options.seed,
        **to_plain(scores, reference),
    }
    return save_json(errors, options.json, plain)


def _rounds(file: BasketFile, options: BasketOptions) -> tuple[Iterator[Round], int, str]:
    """The rounds, how many, and the protocol in words."""
    if file.futures is not None:
        has_future = np.isin(file.baskets.users, file.futures.users)
        histories = file.baskets.of_users(np.flatnonzero(has_future))
        wanted = min(options.folds, options.rounds or options.folds)
        rounds = split_by_user(histories, file.futures, folds=options.folds, seed=options.seed)
        return (
            (each for _, each in zip(range(wanted), rounds, strict=False)),
            wanted,
            f"by user, {wanted} of {options.folds} folds",
        )
    cut, until = cut_of(file.baskets, options.cut, options.until)
    each = split_by_time(file.baskets, cut=cut, until=until, least=options.least)
    protocol = f"by time, last baskets from {_date(cut)} and before {_date(until)}"
    return iter([each]), 1, f"{protocol}, after {options.least} or more"


def cut_of(baskets: Baskets, cut: datetime | None, until: datetime | None) -> tuple[float, float]:
    """Both times in days since 1970; by default the last tenth of the time that the baskets cover."""
    at_days = require_times(baskets)
    end = float(np.nextafter(at_days.max(), np.inf)) if until is None else _day(until)
    begin = float(at_days.min())
    return (begin + 0.9 * (end - begin) if cut is None else _day(cut)), end


def _day(time: datetime) -> float:
    return time.replace(tzinfo=UTC).timestamp() / 86_400


def _date(day: float) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d %H:%M")
