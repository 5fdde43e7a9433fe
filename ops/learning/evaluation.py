"""`storepulse evaluate next-action`: files in, one table per shop out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from contracts.events import Event
from models.next_action.prefixes import prefixes_of
from ops.learning.one_action import add_one_action_sessions
from ops.learning.results import describe_machine, open_console, save_json, say_failure, say_missing
from ops.learning.shop_events import make_progress, read_events, simulate_events, title_of
from sources import fingerprint

if TYPE_CHECKING:  # its modules need the extra [train]
    from models.next_action.evaluation.contender import Row

_SIMULATED_SEED = 1
FILE_WIDTH = 220
"""Columns where the table goes to a file or a pipe: it is not folded there."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What was asked for. `models` empty: all of them; `reference` empty: the network, or boosted trees.

    `one_action_share`: sessions of one action are simulated until they are this share of all; None: none are.
    """

    files: tuple[Path, ...]
    idle_ms: int = 30 * 60_000
    train: float = 0.6
    valid: float = 0.1
    seeds: int = 3
    tries: int = 4
    jobs: int = 1
    one_action_share: float | None = None
    models: tuple[str, ...] = ()
    reference: str = ""
    simulated_days: float = 0.0
    format_name: str | None = None
    currency: str = "EUR"
    json: Path | None = None


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop to measure on. `origin` says in JSON where its events are from."""

    title: str
    origin: dict[str, Any]
    events: Callable[[Progress], Iterable[Event]]


def run_evaluation(options: EvaluationOptions) -> int:
    """Measure on every shop, print the tables, write the JSON; returns the exit code."""
    errors = Console(stderr=True)
    try:
        import models.next_action.evaluation.contenders as known
    except ModuleNotFoundError as exc:
        return say_missing(errors, exc)
    try:
        rows, blends = known.choose(options.models)
        reference = known.choose_reference(options.reference, [*rows, *blends])
        shops = _shops(options)
        plain = [_measure(shop, options, (rows, blends), reference, errors) for shop in shops]
    except (ValueError, OSError) as exc:
        return say_failure(errors, exc)
    return save_json(errors, options.json, {**describe_machine(), "shops": plain})


def _shops(options: EvaluationOptions) -> list[Shop]:
    shops = [
        Shop(
            title_of(path),
            {"file": title_of(path), "fingerprint": fingerprint(path)},
            partial(_read, path, options),
        )
        for path in options.files
    ]
    if options.simulated_days:
        origin = {"simulated": "demo", "seed": _SIMULATED_SEED, "days": options.simulated_days}
        title = f"simulated shop (demo, seed {_SIMULATED_SEED}, {options.simulated_days:g} days)"
        shops.append(
            Shop(title, origin, partial(simulate_events, options.simulated_days, seed=_SIMULATED_SEED))
        )
    if not shops:
        raise ValueError("give files with --events FILE..., or --simulate-days")
    return shops


def _measure(
    shop: Shop,
    options: EvaluationOptions,
    contenders: tuple[Mapping[str, "Row"], Mapping[str, tuple[str, str]]],
    reference_name: str,
    errors: Console,
) -> dict[str, Any]:
    from models.next_action.evaluation.comparison import compare
    from models.next_action.evaluation.fitting import Plan, Split
    from models.next_action.evaluation.report import make_tables, to_plain

    with make_progress(errors, shop.title) as progress:
        events = shop.events(progress)
        if options.one_action_share is not None:
            events = add_one_action_sessions(
                events, options.one_action_share, idle_ms=options.idle_ms, seed=_SIMULATED_SEED
            )
        cases = prefixes_of(events, idle_ms=options.idle_ms)
        try:
            split = Split.of(cases, options.train, options.valid)
        except ValueError as exc:
            raise ValueError(f"{shop.title}: {exc}") from exc
        fits = progress.add_task("fits")

        def on_fit(name: str, done: int, total: int) -> None:
            progress.update(fits, description=f"{name or 'fits'}", completed=done, total=total)

        plan = Plan(range(options.seeds), options.tries, options.jobs)
        scores = compare(split, *contenders, plan=plan, progress=on_fit)
    reference = next(score for score in scores if score.name == reference_name)
    console = open_console(FILE_WIDTH)
    for table in make_tables(shop.title, split, scores, reference, width=console.width):
        console.print(table)
    return {**shop.origin, **to_plain(split, scores, reference)}


def _read(path: Path, options: EvaluationOptions, progress: Progress) -> Iterator[Event]:
    return read_events(path, progress, currency=options.currency, format_name=options.format_name)
